//! A page in its folder, with the pictures and tables that it shows as files beside it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::animation::Animation;
use super::chart::Chart;
use super::page::{Figure, Page};
use super::picture::Picture;
use super::raster;
use super::scatter::Scatter;
use super::table::Table;
use crate::error::{Error, Result};
use crate::files::write_atomic;
use crate::job;

/// Size of the charts, in pixels.
const CHART: (usize, usize) = (900, 560);

/// A page in the making. Each thing is added to the end of the page and written beside it.
#[derive(Debug)]
pub struct PageFolder {
    path: PathBuf,
    page: Page,
    /// The names of the files written so far.
    files: Vec<String>,
}

/// A page that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedPage {
    /// The page.
    #[serde(serialize_with = "job::text::path")]
    pub page: PathBuf,
    /// The pictures and tables beside it.
    #[serde(serialize_with = "job::text::paths")]
    pub files: Vec<PathBuf>,
}

impl PageFolder {
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

    /// Adds text in which every space and line break counts.
    pub fn code(&mut self, text: &str) {
        self.edit(|page| page.code(text));
    }

    /// Adds a chart, and writes it as `name`.png and `name`.svg.
    ///
    /// # Errors
    /// When the chart cannot be drawn or the system refuses.
    pub fn chart(&mut self, name: &str, chart: &Chart, caption: &str) -> Result<()> {
        self.drawing(name, &chart.svg(CHART.0, CHART.1)?, caption)
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
        self.drawing(name, &scatter.svg(panel)?, caption)
    }

    /// Adds a picture with smooth edges, and writes it as `name`.png.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn picture(&mut self, name: &str, picture: &Picture, caption: &str) -> Result<()> {
        self.figure(
            name,
            &picture.png_bytes()?,
            Figure::smooth(picture),
            caption,
        )
    }

    /// Adds a picture whose pixels stay sharp squares when a reader enlarges it, and writes it as
    /// `name`.png.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn pixels(&mut self, name: &str, picture: &Picture, caption: &str) -> Result<()> {
        self.figure(
            name,
            &picture.png_bytes()?,
            Figure::pixels(picture),
            caption,
        )
    }

    /// Adds an animation, and writes it as `name`.png.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn animation(&mut self, name: &str, animation: &Animation, caption: &str) -> Result<()> {
        let figure = Figure::smooth(&animation.frames()[0]);
        self.figure(name, &animation.png_bytes()?, figure, caption)
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

    /// Adds a section that names the files written so far.
    pub fn list_files(&mut self) {
        let files = format!("Beside this page: {}.", self.files.join(", "));
        self.section("Files");
        self.paragraph(&files);
    }

    /// Writes the page, `index.html`.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn save(self) -> Result<SavedPage> {
        let page = self.path.join("index.html");
        self.page.save(&page)?;
        let files = self.files.iter().map(|file| self.path.join(file));
        Ok(SavedPage {
            page,
            files: files.collect(),
        })
    }

    fn drawing(&mut self, name: &str, svg: &str, caption: &str) -> Result<()> {
        self.picture(name, &raster::render(svg)?, caption)?;
        self.write(name, "svg", svg.as_bytes())
    }

    fn figure(&mut self, name: &str, png: &[u8], figure: Figure, caption: &str) -> Result<()> {
        self.write(name, "png", png)?;
        self.edit(|page| page.png(png, figure, caption, caption));
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
        self.page = change(std::mem::take(&mut self.page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cloud, Series};

    #[test]
    fn everything_is_on_the_page_and_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let mut folder = PageFolder::create(&out, "Title").unwrap();
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
        let picture = Picture::filled(4, 4, [9; 3]).unwrap();
        folder.pixels("grid", &picture, "Pixels.").unwrap();
        folder.code("a = 1");
        folder.list_files();
        let saved = folder.save().unwrap();
        let html = std::fs::read_to_string(&saved.page).unwrap();
        assert_eq!(saved.files.len(), 8);
        assert!(saved.files.iter().all(|file| file.is_file()));
        for text in [
            "Title",
            "Lead",
            "Section",
            "Text",
            "A chart.",
            "Points.",
            "It moves.",
            "0.25",
            "numbers.csv, more.csv, grid.png.",
            "<code>a = 1",
            "class=\"pixels\"",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert_eq!(html.matches("<img").count(), 4);
        for name in [
            "line.png",
            "line.svg",
            "points.png",
            "points.svg",
            "moving.png",
            "grid.png",
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
        let message = PageFolder::create(&file, "").unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
    }
}
