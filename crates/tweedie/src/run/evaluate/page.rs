//! The page of an evaluation.

use std::path::Path;

use super::{Evaluation, InSpace, OfClasses, Pictured, Sets};
use crate::data::{Dataset, Shape};
use crate::error::Result;
use crate::measure::NearestItem;
use crate::report::{Axis, Chart, Cloud, Grid, PageFolder, SavedPage, Scatter, Series, Table};

/// Samples in the picture of nearest neighbours.
const SHOWN: usize = 12;
/// Most classes, and samples of each, in the picture of classes.
const CLASSES: usize = 20;
const OF_A_CLASS: usize = 12;
/// Most points in a scatter plot.
const PLOTTED: usize = 5000;

pub(super) fn write(
    folder: &Path,
    sets: &Sets<'_>,
    evaluation: &Evaluation,
    pictured: &[Pictured],
) -> Result<SavedPage> {
    let mut page = PageFolder::create(folder, "tweedie: evaluation")?;
    page.lead(&format!(
        "{} items of {} against {} items of {}.",
        evaluation.samples.count,
        evaluation.samples.name,
        evaluation.reference.count,
        evaluation.reference.name
    ));
    page.section("Distances");
    page.paragraph(
        "Errors are standard errors over repetitions of samples and reference. The Frechet distance \
         is biased upwards by about 1/n; the corrected figure has that bias removed by the jackknife \
         over halves, and may be negative where the distance is about 0. The kernel distances are \
         unbiased.",
    );
    page.table("distances", &distances(evaluation))?;
    for space in &evaluation.spaces {
        if let Some(preparation) = &space.preparation {
            page.paragraph(&format!("{}: {preparation}.", space.features));
        }
    }
    page.section("Precision, recall, density and coverage");
    page.table("neighbours", &neighbours(evaluation))?;
    if evaluation.versus.is_some() {
        page.section("Compared with the other samples");
        page.paragraph(
            "The difference of the distances at equal seeds, this set's less the other's; below 0 \
             this set is nearer to the reference.",
        );
        page.table("versus", &versus(evaluation))?;
    }
    if evaluation.held_out.is_some() {
        page.section("Memorisation");
        page.paragraph(
            "The probability that a sample is nearer to its nearest training item than a held-out \
             item is to its own: 1/2 for a perfect model, more for one that copies. The p-value is \
             that of a perfect model.",
        );
        page.table("memorisation", &memorisation(evaluation))?;
    }
    for (space, pictured) in evaluation.spaces.iter().zip(pictured) {
        if let Some(classes) = &space.classes {
            of_classes(&mut page, space, classes)?;
            if let Some(labels) = &pictured.classes {
                samples_of_classes(&mut page, sets.samples, &classes.names, labels)?;
            }
        }
    }
    page.section("Nearest items of the reference");
    page.paragraph(
        "The samples whose nearest item is nearest relative to the second nearest. A ratio far below \
         1 marks a copy.",
    );
    page.table("ratios", &ratios(evaluation))?;
    if let (Some(pictured), Some(space)) = (pictured.first(), evaluation.spaces.first()) {
        pictures(&mut page, sets, &pictured.nearest, space)?;
    }
    page.list_files();
    page.save()
}

fn distances(evaluation: &Evaluation) -> Table {
    let mut table = Table::new([
        "features",
        "dim",
        "Frechet, corrected",
        "Frechet, as it is",
        "kernel, cubic",
        "kernel, Gaussian",
    ]);
    for space in &evaluation.spaces {
        table.row([
            space.features.as_str().into(),
            space.dim.into(),
            space.frechet.corrected.into(),
            space.frechet.plain.into(),
            space.kernel_polynomial.into(),
            space.kernel_rbf.into(),
        ]);
    }
    table
}

fn neighbours(evaluation: &Evaluation) -> Table {
    let mut table = Table::new([
        "features",
        "k",
        "precision",
        "recall",
        "density",
        "coverage",
    ]);
    for space in &evaluation.spaces {
        for found in &space.neighbours {
            table.row([
                space.features.as_str().into(),
                found.k.into(),
                found.precision.estimate().into(),
                found.recall.estimate().into(),
                found.density.into(),
                found.coverage.estimate().into(),
            ]);
        }
    }
    table
}

fn versus(evaluation: &Evaluation) -> Table {
    let mut table = Table::new([
        "features",
        "distance",
        "difference",
        "verdict",
        "samples to decide",
    ]);
    for space in &evaluation.spaces {
        let Some(versus) = &space.versus else {
            continue;
        };
        let of = [
            ("Frechet", &versus.frechet),
            ("kernel, Gaussian", &versus.kernel_rbf),
        ];
        for (distance, compared) in of {
            let enough = compared.deciding_samples;
            table.row([
                space.features.as_str().into(),
                distance.into(),
                compared.difference.into(),
                compared.verdict.to_string().into(),
                enough.map_or("".into(), |n| (n as f64).into()),
            ]);
        }
    }
    table
}

fn memorisation(evaluation: &Evaluation) -> Table {
    let mut table = Table::new([
        "features",
        "P(sample nearer)",
        "p-value",
        "nearest is a training item",
        "expected",
    ]);
    for space in &evaluation.spaces {
        if let Some(found) = &space.memorisation {
            table.row([
                space.features.as_str().into(),
                found.nearer.into(),
                found.p_value.into(),
                found.to_training.estimate().into(),
                found.expected.into(),
            ]);
        }
    }
    table
}

/// The shares of the classes, and what they come to.
fn of_classes(page: &mut PageFolder, space: &InSpace, classes: &OfClasses) -> Result<()> {
    page.section("Classes");
    page.paragraph(&format!(
        "By {}: {} of {} classes have a sample. KL is the divergence of the samples' shares from \
         equal ones and from the reference's; samples of equal distribution have the floor on \
         average, which the corrected figure is without.",
        space.features,
        classes.covered,
        classes.names.len()
    ));
    let share = |counts: &[u64]| {
        let total: u64 = counts.iter().sum();
        let share = |(class, &count): (usize, &u64)| (class as f64, count as f64 / total as f64);
        counts.iter().enumerate().map(share).collect::<Vec<_>>()
    };
    let chart = Chart::new("Shares of the classes")
        .x(Axis::linear("class"))
        .y(Axis::linear("share"))
        .series(Series::bars("reference", share(&classes.reference)))
        .series(Series::line("samples", share(&classes.samples)));
    page.chart("classes", &chart, "As the classifier sees them.")?;
    let mut table = Table::new(["measure", "as it is", "floor", "corrected"]);
    let divergences = [
        ("KL from equal shares", classes.kl_uniform),
        ("KL from the reference", classes.kl_reference),
    ];
    for (name, found) in divergences {
        let (plain, corrected) = (found.plain.into(), found.corrected.into());
        table.row([name.into(), plain, found.floor.into(), corrected]);
    }
    let score = &classes.inception_score;
    let (plain, corrected) = (score.plain.into(), score.corrected.into());
    table.row(["Inception score".into(), plain, "".into(), corrected]);
    page.table("class-figures", &table)
}

/// Images: the first samples of each class, as the classifier sees them.
fn samples_of_classes(
    page: &mut PageFolder,
    samples: &Dataset,
    names: &[String],
    labels: &[usize],
) -> Result<()> {
    let Shape::Image {
        channels,
        height,
        width,
    } = samples.shape()
    else {
        return Ok(());
    };
    let blank = vec![u8::MAX; channels * height * width];
    let mut images = Vec::new();
    let names = &names[..names.len().min(CLASSES)];
    for class in 0..names.len() {
        let of_class = labels
            .iter()
            .enumerate()
            .filter(|(_, label)| **label == class);
        let rows: Vec<usize> = of_class.map(|(row, _)| row).take(OF_A_CLASS).collect();
        images.extend(bytes(samples, &rows));
        images.extend(blank.repeat(OF_A_CLASS - rows.len()));
    }
    let grid = Grid::new([channels, height, width]).columns(OF_A_CLASS);
    let picture = grid.row_labels(names.iter().cloned()).render(&images)?;
    let caption = "The first samples of each class, as the classifier sees them.";
    page.pixels("samples-of-classes", &picture, caption)
}

fn ratios(evaluation: &Evaluation) -> Table {
    let mut table = Table::new(["features", "smallest", "1 %", "10 %", "median"]);
    for space in &evaluation.spaces {
        let ratio = space.nearest_ratio;
        table.row([
            space.features.as_str().into(),
            ratio.least.into(),
            ratio.percent_1.into(),
            ratio.percent_10.into(),
            ratio.median.into(),
        ]);
    }
    table
}

/// Images: samples above their nearest items. Vectors of two values: both sets in the plane.
fn pictures(
    page: &mut PageFolder,
    sets: &Sets<'_>,
    nearest: &[NearestItem],
    space: &InSpace,
) -> Result<()> {
    match sets.samples.shape() {
        Shape::Image {
            channels,
            height,
            width,
        } => {
            let mut order: Vec<usize> = (0..nearest.len()).collect();
            order.sort_by(|&a, &b| nearest[a].ratio().total_cmp(&nearest[b].ratio()));
            order.truncate(SHOWN);
            let items: Vec<usize> = order.iter().map(|&row| nearest[row].index).collect();
            let images = [bytes(sets.samples, &order), bytes(sets.reference, &items)].concat();
            let grid = Grid::new([channels, height, width]).columns(order.len());
            let picture = grid.row_labels(["samples", "nearest"]).render(&images)?;
            let caption = format!("By {}, the most suspicious first.", space.features);
            page.pixels("nearest", &picture, &caption)
        }
        Shape::Vector { dim: 2 } => {
            let cloud = |title: &str, data: &Dataset| {
                let rows: Vec<usize> = (0..data.len().min(PLOTTED)).collect();
                let values = data.gather(&rows);
                let points = values
                    .chunks_exact(2)
                    .map(|p| [f64::from(p[0]), f64::from(p[1])]);
                Cloud::new(title, points.collect::<Vec<_>>())
            };
            let scatter = Scatter::new("")
                .cloud(cloud("reference", sets.reference))
                .cloud(cloud("samples", sets.samples));
            page.scatter("points", &scatter, 420, "The reference and the samples.")
        }
        Shape::Vector { .. } | Shape::Signal { .. } => Ok(()),
    }
}

/// Images as bytes, planar.
fn bytes(data: &Dataset, rows: &[usize]) -> Vec<u8> {
    let map = data.map();
    data.gather(rows)
        .into_iter()
        .map(|v| map.to_u8(v))
        .collect()
}
