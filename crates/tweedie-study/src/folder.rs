//! A study's folder: pictures, tables, and the page that has them all.

use std::path::{Path, PathBuf};

use super::Table;
use tweedie::report::{Animation, Chart, Page, Picture, Scatter};
use tweedie::write_atomic;
use tweedie::{Error, Result};

/// Size of the charts, in pixels.
const CHART: (usize, usize) = (900, 560);

/// A study in the making. Each thing is added to the end of the page and written beside it.
#[derive(Debug)]
pub struct StudyFolder {
    path: PathBuf,
    page: Page,
    /// The names of the files written so far.
    files: Vec<String>,
}

impl StudyFolder {
    /// An empty page with this title, to be saved in the folder `path`, which is made.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses, for example because `path` is a file.
    pub fn create(path: &Path, title: &str) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::io("create the folder", path))?;
        Ok(Self {
            path: path.to_owned(),
            page: Page::new(title),
            files: Vec::new(),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the sentences below the title.
    pub fn lead(&mut self, text: &str) {
        self.edit(|page| page.lead(text));
    }

    /// Begins a section.
    pub fn section(&mut self, heading: &str) {
        self.edit(|page| page.section(heading));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.edit(|page| page.paragraph(text));
    }

    /// Adds a chart, and writes it as `name`.png and `name`.svg.
    ///
    /// # Errors
    /// When the chart cannot be drawn or the system refuses.
    pub fn chart(&mut self, name: &str, chart: &Chart, caption: &str) -> Result<()> {
        let picture = chart.png(CHART.0, CHART.1)?;
        self.picture(name, &picture, &chart.svg(CHART.0, CHART.1)?, caption)
    }

    /// Adds panels of points with sides of `panel` pixels, and writes them as `name`.png and
    /// `name`.svg.
    ///
    /// # Errors
    /// When they cannot be drawn or the system refuses.
    pub fn scatter(
        &mut self,
        name: &str,
        scatter: &Scatter,
        panel: usize,
        caption: &str,
    ) -> Result<()> {
        let picture = scatter.png(panel)?;
        self.picture(name, &picture, &scatter.svg(panel)?, caption)
    }

    /// Adds an animation, and writes it as `name`.png.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn animation(&mut self, name: &str, animation: &Animation, caption: &str) -> Result<()> {
        self.write(name, "png", &animation.png_bytes()?)?;
        let page = self.page.clone();
        self.page = page.figure_animation(animation, caption, caption)?;
        Ok(())
    }

    /// Adds a table, and writes it in full as `name`.csv.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn table(&mut self, name: &str, table: &Table) -> Result<()> {
        self.data(name, table)?;
        self.edit(|page| page.table(table.header(), &table.shown()));
        Ok(())
    }

    /// Writes a table as `name`.csv without showing it: the numbers behind a chart.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn data(&mut self, name: &str, table: &Table) -> Result<()> {
        self.write(name, "csv", &table.csv())
    }

    /// Writes the page, `index.html`, with a list of the other files at its end; returns its path.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn save(mut self) -> Result<PathBuf> {
        let files = format!("Beside this page: {}.", self.files.join(", "));
        self.section("Files");
        self.paragraph(&files);
        let path = self.path.join("index.html");
        self.page.save(&path)?;
        Ok(path)
    }

    fn picture(&mut self, name: &str, png: &Picture, svg: &str, caption: &str) -> Result<()> {
        self.write(name, "png", &png.png_bytes()?)?;
        self.write(name, "svg", svg.as_bytes())?;
        self.page = self.page.clone().figure(png, caption, caption)?;
        Ok(())
    }

    fn write(&mut self, name: &str, extension: &str, bytes: &[u8]) -> Result<()> {
        let file = format!("{name}.{extension}");
        write_atomic(&self.path.join(&file), bytes)?;
        self.files.push(file);
        Ok(())
    }

    /// Pages are built by value.
    fn edit(&mut self, change: impl FnOnce(Page) -> Page) {
        let page = std::mem::replace(&mut self.page, Page::new(""));
        self.page = change(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::report::{Cloud, Series};

    #[test]
    fn everything_is_on_the_page_and_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let mut folder = StudyFolder::create(&out, "Title").unwrap();
        folder.lead("Lead");
        folder.section("Section");
        folder.paragraph("Text");
        let chart = Chart::new("chart").series(Series::line("s", [(0.0, 1.0), (1.0, 2.0)]));
        folder.chart("line", &chart, "A chart.").unwrap();
        let scatter = Scatter::new("").cloud(Cloud::new("c", [[0.0, 1.0]]));
        folder.scatter("points", &scatter, 200, "Points.").unwrap();
        let frames = vec![Picture::filled(4, 4, [9; 3]).unwrap(); 2];
        let animation = Animation::new(frames, 50).unwrap();
        folder.animation("moving", &animation, "It moves.").unwrap();
        let mut table = Table::new(["x"]);
        table.row([0.25.into()]);
        folder.table("numbers", &table).unwrap();
        folder.data("more", &table).unwrap();
        let page = folder.save().unwrap();
        let html = std::fs::read_to_string(&page).unwrap();
        for text in [
            "Title",
            "Lead",
            "Section",
            "Text",
            "A chart.",
            "Points.",
            "It moves.",
            "0.25",
            "numbers.csv, more.csv.",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert_eq!(html.matches("<img").count(), 3);
        for name in [
            "line.png",
            "line.svg",
            "points.png",
            "points.svg",
            "moving.png",
        ] {
            assert!(out.join(name).is_file(), "{name}");
        }
        assert_eq!(
            std::fs::read_to_string(out.join("more.csv")).unwrap(),
            "x\n0.25\n"
        );
        assert!(out.join("numbers.csv").is_file());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        std::fs::write(&file, "x").unwrap();
        let message = StudyFolder::create(&file, "").unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
    }
}
