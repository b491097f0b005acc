//! An evaluation in the terminal.

use tweedie::measure::{Estimate, Verdict};
use tweedie::run::{Evaluation, InSpace};

pub fn tell(found: &Evaluation) {
    say!(
        "{} items of {} against {} items of {}",
        found.samples.count,
        found.samples.name,
        found.reference.count,
        found.reference.name
    );
    for space in &found.spaces {
        say!();
        tell_space(space);
    }
    if let Some(page) = &found.page {
        say!();
        say!("{}", page.page.display());
    }
}

fn tell_space(space: &InSpace) {
    say!("in {} ({} features)", space.features, space.dim);
    if let Some(preparation) = &space.preparation {
        say!("  {preparation}");
    }
    let n = space.frechet.samples;
    line(
        "Frechet distance, 1/n bias removed",
        space.frechet.corrected,
    );
    line(&format!("Frechet distance at n = {n}"), space.frechet.plain);
    if space.too_few {
        say!(
            "  (too few items for {} features: it says little)",
            space.dim
        );
    }
    line("kernel distance, cubic", space.kernel_polynomial);
    line("kernel distance, Gaussian", space.kernel_rbf);
    for found in &space.conventions {
        let [subsets, size] = found.subsets;
        say!(
            "  KID as {} prints it: {:.6} (spread of {subsets} overlapping subsets of {size}: {:.6})",
            found.convention,
            found.mean,
            found.spread
        );
    }
    for found in &space.neighbours {
        let k = found.k;
        line(&format!("precision, k = {k}"), found.precision.estimate());
        line(&format!("recall, k = {k}"), found.recall.estimate());
        line(&format!("density, k = {k}"), found.density);
        line(&format!("coverage, k = {k}"), found.coverage.estimate());
    }
    if let Some(classes) = &space.classes {
        say!(
            "  classes with a sample: {} of {}",
            classes.covered,
            classes.names.len()
        );
        for (from, found) in [
            ("equal shares", classes.kl_uniform),
            ("the reference's", classes.kl_reference),
        ] {
            line(&format!("KL of classes from {from}"), found.plain);
            say!("    equal distributions have {:.5} at this n", found.floor);
        }
        line("Inception score", classes.inception_score.corrected);
    }
    if let Some(vectors) = &space.vectors {
        line("energy distance", vectors.energy);
        line("sliced Wasserstein-2 distance", vectors.sliced_wasserstein);
        let test = &vectors.two_sample;
        say!(
            "  two-sample test by nearest neighbours: accuracy {:.3} (chance 0.5), p = {:.3}",
            test.accuracy,
            test.p_value
        );
    }
    let ratio = space.nearest_ratio;
    say!(
        "  nearest item, distance to that of the second nearest: {:.3} least, {:.3} median",
        ratio.least,
        ratio.median
    );
    if let Some(memorised) = &space.memorisation {
        line("P(nearer to training than held-out)", memorised.nearer);
        say!(
            "  p = {:.3} for a model that copies nothing",
            memorised.p_value
        );
    }
    if let Some(versus) = &space.versus {
        let of = [
            ("Frechet", &versus.frechet),
            ("kernel, Gaussian", &versus.kernel_rbf),
        ];
        for (name, compared) in of {
            line(&format!("difference, {name}"), compared.difference);
            match (compared.verdict, compared.deciding_samples) {
                (Verdict::CannotTell, Some(n)) => {
                    say!("    cannot tell; about {n} samples of each would")
                }
                (Verdict::CannotTell, None) => say!(
                    "    cannot tell, and more samples would not: it takes more reference items, or \
                     there is no difference"
                ),
                (verdict, _) => say!("    {verdict}"),
            }
        }
    }
}

/// A figure with its standard error, to two digits of that.
pub fn line(name: &str, estimate: Estimate) {
    let Estimate {
        value,
        standard_error,
    } = estimate;
    let digits = match standard_error > 0.0 && standard_error.is_finite() {
        true => (1.0 - standard_error.log10().floor()).clamp(0.0, 12.0) as usize,
        false => 6,
    };
    say!("  {name:36} {value:.digits$} ± {standard_error:.digits$}");
}
