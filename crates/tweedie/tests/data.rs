//! Opening every kind of source through the public interface, with files made on the fly.

use std::fs;
use std::path::{Path, PathBuf};

use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};
use tempfile::TempDir;
use tweedie::data::{
    BUILT_IN, DataSpec, Dataset, Fit, Kind, LabelSource, Labels, Shape, digits, open,
};

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, name: &str, bytes: &[u8]) -> DataSpec {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        spec(&path)
    }

    fn folder(&self) -> DataSpec {
        spec(self.0.path())
    }
}

fn spec(path: &Path) -> DataSpec {
    DataSpec::new(path.to_str().unwrap())
}

fn refused(spec: &DataSpec, words: &[&str]) {
    let error = open(spec).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

fn item(set: &Dataset, i: usize) -> Vec<f32> {
    set.gather(&[i])
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), values].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn the_table_reads_as_users_write_it() {
    let least: DataSpec = toml::from_str("source = 'digits'").unwrap();
    assert_eq!(least, DataSpec::new("digits"));
    let text = "source = 'x'\nsize = 32\nfit = 'crop'\nchannels = 1\nrange = [-1, 1]\nlimit = 9";
    let full: DataSpec = toml::from_str(text).unwrap();
    assert_eq!((full.fit, full.range), (Fit::Crop, [-1.0, 1.0]));
    let again: DataSpec = toml::from_str(&toml::to_string(&full).unwrap()).unwrap();
    assert_eq!(again, full);
    assert!(toml::from_str::<DataSpec>("source = 'x'\nsizes = 32").is_err());
    assert!(toml::from_str::<DataSpec>("size = 32").is_err());
}

#[test]
fn every_built_in_name_opens() {
    for name in BUILT_IN {
        let set = open(&DataSpec::new(name)).unwrap();
        let expected = match name {
            "digits" => (digits::COUNT, vec![1, 8, 8]),
            "tutorial" => (1024, vec![1]),
            _ => (10_000, vec![2]),
        };
        assert_eq!((set.len(), set.shape().to_vec()), expected, "{name}");
        assert_eq!(set.name(), name);
    }
}

#[test]
fn digits_span_the_range_and_take_image_options() {
    let set = open(&DataSpec {
        range: [-1.0, 1.0],
        ..DataSpec::new("digits")
    })
    .unwrap();
    assert_eq!(set.map().raw_range(), Some([0.0, 16.0]));
    assert_eq!(item(&set, 0)[..4], [-1.0, -1.0, -0.375, 0.625]);
    assert_eq!(set.map().to_u8(1.0), 255);
    let large = DataSpec {
        size: Some(16),
        fit: Fit::Resize,
        channels: Some(3),
        limit: Some(5),
        ..DataSpec::new("digits")
    };
    let set = open(&large).unwrap();
    assert_eq!((set.len(), set.shape().to_vec()), (5, vec![3, 16, 16]));
    assert!(item(&set, 4).iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn synthetic_sets_take_count_seed_limit_and_standardise() {
    let roll = |count, seed, standardise| {
        open(&DataSpec {
            count: Some(count),
            seed,
            standardise,
            ..DataSpec::new("swiss-roll")
        })
    };
    let set = roll(300, 1, false).unwrap();
    assert_eq!(set.len(), 300);
    assert_ne!(item(&set, 0), item(&roll(300, 2, false).unwrap(), 0));
    let (mean, std) = roll(300, 1, true).unwrap().mean_std();
    assert!(
        mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6,
        "{mean} {std}"
    );
    let limited = open(&DataSpec {
        limit: Some(10),
        ..DataSpec::new("tutorial")
    })
    .unwrap();
    assert_eq!(limited.len(), 10);
}

#[test]
fn options_that_mean_nothing_for_the_source_are_refused() {
    let digits = DataSpec::new("digits");
    refused(
        &DataSpec {
            count: Some(5),
            ..digits.clone()
        },
        &["count = ", "limit"],
    );
    refused(
        &DataSpec {
            seed: 5,
            ..digits.clone()
        },
        &["seed = ", "remove"],
    );
    refused(
        &DataSpec {
            standardise: true,
            ..digits.clone()
        },
        &["standardise = ", "range"],
    );
    refused(
        &DataSpec {
            size: Some(16),
            ..digits.clone()
        },
        &["size = ", "8x8", "resize"],
    );
    refused(
        &DataSpec {
            fit: Fit::Crop,
            ..digits.clone()
        },
        &["fit = ", "set size"],
    );
    refused(
        &DataSpec {
            channels: Some(2),
            ..digits.clone()
        },
        &["channels = ", "1 (grey)"],
    );
    refused(
        &DataSpec {
            range: [1.0, 0.0],
            ..digits.clone()
        },
        &["range = ", "[1, 0]"],
    );
    refused(
        &DataSpec {
            limit: Some(0),
            ..digits.clone()
        },
        &["limit = ", "at least 1"],
    );
    let moons = DataSpec::new("two-moons");
    refused(
        &DataSpec {
            size: Some(8),
            ..moons.clone()
        },
        &["size = ", "holds vectors"],
    );
    refused(
        &DataSpec {
            range: [-1.0, 1.0],
            ..moons.clone()
        },
        &["range = ", "holds vectors"],
    );
    refused(
        &DataSpec {
            channels: Some(1),
            ..moons.clone()
        },
        &["channels = "],
    );
    refused(
        &DataSpec {
            count: Some(usize::MAX),
            ..moons
        },
        &["count = ", "at most"],
    );
}

#[test]
fn an_unknown_source_names_the_built_in_ones() {
    refused(
        &DataSpec::new("swissroll"),
        &["'swissroll'", "no such file", "swiss-roll", "digits"],
    );
}

#[test]
fn idx_files_hold_images_or_vectors() {
    let place = Place::new();
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..],
        &[0, 255, 51, 0],
    ]
    .concat();
    let set = open(&place.write("any-name", &images)).unwrap();
    assert_eq!((set.len(), set.shape().to_vec()), (2, vec![1, 1, 2]));
    assert_eq!(set.gather(&[0, 1]), [0.0, 1.0, 0.2, 0.0]);
    let vectors = [&[0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[7, 9]].concat();
    assert_eq!(
        item(&open(&place.write("v", &vectors)).unwrap(), 0),
        [7.0, 9.0]
    );
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 2][..], &[7, 9]].concat();
    refused(&place.write("l", &labels), &["labels"]);
    refused(&place.write("cut", &images[..18]), &["cut: ", "shorter"]);
}

#[test]
fn npy_and_npz_files_hold_images_or_vectors() {
    let place = Place::new();
    let vectors = npy("<f4", "(2, 2)", &floats(&[1.0, 2.0, 3.0, 4.0]));
    let set = open(&place.write("a.npy", &vectors)).unwrap();
    assert_eq!(set.shape(), Shape::Vector { dim: 2 });
    assert_eq!(item(&set, 1), [3.0, 4.0]);
    let set = open(&place.write(
        "b.npy",
        &npy("|u1", "(1, 1, 2, 3)", &[0, 51, 102, 153, 204, 255]),
    ));
    refused_shape(set);
    let wide = npy(
        "|u1",
        "(1, 2, 2, 3)",
        &[0, 51, 102, 0, 51, 102, 0, 51, 102, 0, 51, 102],
    );
    let set = open(&place.write("c.npy", &wide)).unwrap();
    assert_eq!(set.shape().to_vec(), [3, 2, 2]);
    assert_eq!(item(&set, 0)[..5], [0.0, 0.0, 0.0, 0.0, 0.2]);

    let mut zip = zip::ZipWriter::new(fs::File::create(place.path("d.npz")).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [
        ("labels.npy", npy("|u1", "(1,)", &[3])),
        ("arr_0.npy", wide),
    ] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.finish().unwrap();
    let from_zip = open(&spec(&place.path("d.npz"))).unwrap();
    assert_eq!(item(&from_zip, 0), item(&set, 0));
    assert!(
        from_zip.notes()[0].contains("'arr_0' of 2"),
        "{:?}",
        from_zip.notes()
    );
}

fn refused_shape(set: tweedie::Result<Dataset>) {
    let error = set.unwrap_err().to_string();
    assert!(error.contains("axis 1 or axis 3"), "{error}");
}

#[test]
fn npy_images_of_every_kind_are_the_same_images() {
    let place = Place::new();
    let pixels = [0_u8, 51, 102, 255, 204, 153];
    let as_bytes = place.write("u8.npy", &npy("|u1", "(1, 2, 3)", &pixels));
    let expected = item(&open(&as_bytes).unwrap(), 0);
    // What NumPy's arithmetic makes of pixels: wider integers, in either order of bytes.
    let wide = pixels.iter().flat_map(|&v| i64::from(v).to_le_bytes());
    let wide = npy("<i8", "(1, 2, 3)", &wide.collect::<Vec<_>>());
    assert_eq!(
        item(&open(&place.write("i8.npy", &wide)).unwrap(), 0),
        expected
    );
    let swapped = pixels.iter().flat_map(|&v| u16::from(v).to_be_bytes());
    let swapped = npy(">u2", "(1, 2, 3)", &swapped.collect::<Vec<_>>());
    assert_eq!(
        item(&open(&place.write("u2.npy", &swapped)).unwrap(), 0),
        expected
    );
    // Fortran's order: the columns one after another.
    let mut columns = npy("|u1", "(1, 2, 3)", &[0, 255, 51, 204, 102, 153]);
    let order = columns
        .windows(5)
        .position(|word| word == b"False")
        .unwrap();
    columns[order..order + 5].copy_from_slice(b"True ");
    assert_eq!(
        item(&open(&place.write("f.npy", &columns)).unwrap(), 0),
        expected
    );
    // Masks are 0 and 1, which is the range of images.
    let mask = npy("|b1", "(1, 2, 3)", &[0, 1, 0, 1, 1, 0]);
    let mask = item(&open(&place.write("b1.npy", &mask)).unwrap(), 0);
    assert_eq!(mask, [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    // Integers beyond a byte are no pixels until their range is said.
    let deep = [0_u16, 1000, 30_000].iter().flat_map(|v| v.to_le_bytes());
    let deep = npy("<u2", "(1, 1, 3)", &deep.collect::<Vec<_>>());
    refused(&place.write("deep.npy", &deep), &["deep.npy", "set range"]);
}

#[test]
fn float_images_must_lie_in_the_range() {
    let place = Place::new();
    let bytes = npy("<f4", "(1, 1, 2)", &floats(&[-1.0, 0.5]));
    let spec = place.write("a.npy", &bytes);
    refused(&spec, &["item 0", "-1", "range = [0, 1]", "set range"]);
    let set = open(&DataSpec {
        range: [-1.0, 1.0],
        ..spec
    })
    .unwrap();
    assert_eq!(item(&set, 0), [-1.0, 0.5]);
    assert_eq!(set.map().to_u8(1.0), 255);
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    let place = Place::new();
    for standardise in [false, true] {
        let bytes = npy("<f4", "(2, 2)", &floats(&[1.0, 2.0, 3.0, f32::NAN]));
        let spec = DataSpec {
            standardise,
            ..place.write("a.npy", &bytes)
        };
        refused(&spec, &["a.npy", "item 1, position 1 is NaN"]);
    }
    let bytes = npy("<f8", "(1, 1)", &1e300_f64.to_le_bytes());
    refused(
        &place.write("b.npy", &bytes),
        &["b.npy", "item 0, position 0 is infinite"],
    );
}

#[test]
fn standardise_refuses_values_that_are_all_alike() {
    let place = Place::new();
    let spec = DataSpec {
        standardise: true,
        ..place.write("a.csv", b"1,1\n1,1\n")
    };
    refused(&spec, &["standardise"]);
}

#[test]
fn csv_files_hold_vectors() {
    let place = Place::new();
    let set = open(&place.write("a.csv", b"x,y\n1,2\n3,4.5\n")).unwrap();
    assert_eq!((set.len(), item(&set, 1)), (2, vec![3.0, 4.5]));
    refused(&place.write("b.csv", b"1,2\n3\n"), &["b.csv", "line 2"]);
    refused(&place.write("c.txt", b"1,2\n"), &["c.txt", "named .csv"]);
    refused(&place.write("d.csv", b""), &["d.csv", "no rows"]);
}

#[test]
fn folders_of_images_are_read_in_order_and_others_counted() {
    let place = Place::new();
    GrayImage::from_pixel(2, 2, Luma([51]))
        .save(place.path("b.png"))
        .unwrap();
    RgbImage::from_pixel(2, 2, Rgb([255, 0, 102]))
        .save(place.path("a/z.PNG"))
        .unwrap();
    RgbImage::from_pixel(2, 2, Rgb([0, 0, 0]))
        .save(place.path("c.webp"))
        .unwrap();
    RgbImage::from_pixel(2, 2, Rgb([255; 3]))
        .save(place.path("d.jpg"))
        .unwrap();
    RgbaImage::new(2, 2).save(place.path("e.png")).unwrap();
    place.write("notes.txt", b"hello");
    place.write(".hidden.png", b"hello");
    let set = open(&place.folder()).unwrap();
    assert_eq!((set.len(), set.shape().to_vec()), (5, vec![3, 2, 2]));
    assert_eq!(item(&set, 0), [[1.0; 4], [0.0; 4], [0.4; 4]].concat());
    assert_eq!(item(&set, 1), [0.2; 12]);
    assert_eq!(item(&set, 3), [1.0; 12]);
    assert_eq!(set.notes().len(), 2);
    assert!(
        set.notes()[0].contains("skipped 1 files"),
        "{:?}",
        set.notes()
    );
    let grey = open(&DataSpec {
        channels: Some(1),
        limit: Some(2),
        ..place.folder()
    })
    .unwrap();
    assert_eq!((grey.len(), grey.shape().to_vec()), (2, vec![1, 2, 2]));
}

#[test]
fn mixed_sizes_need_a_fit() {
    let place = Place::new();
    GrayImage::from_pixel(2, 2, Luma([51]))
        .save(place.path("a.png"))
        .unwrap();
    let wide = GrayImage::from_fn(6, 4, |x, _| {
        Luma([if (1..5).contains(&x) { 255 } else { 0 }])
    });
    wide.save(place.path("b.png")).unwrap();
    let words = [
        "a.png",
        "b.png",
        "6x4",
        "2x2",
        "fit = \"resize\"",
        "fit = \"crop\"",
        "size",
    ];
    refused(&place.folder(), &words);
    refused(
        &DataSpec {
            size: Some(4),
            ..place.folder()
        },
        &["a.png", "size = 4", "fit"],
    );
    let crop = DataSpec {
        size: Some(2),
        fit: Fit::Crop,
        ..place.folder()
    };
    assert_eq!(item(&open(&crop).unwrap(), 1), [1.0; 4]);
    let set = open(&DataSpec {
        fit: Fit::Resize,
        ..crop
    })
    .unwrap();
    assert!(
        item(&set, 1).iter().all(|&v| v < 0.9),
        "{:?}",
        item(&set, 1)
    );
}

#[test]
fn what_is_not_an_image_is_named() {
    let place = Place::new();
    refused(
        &place.folder(),
        &["holds no PNG, JPEG or WebP images (0 other files)"],
    );
    GrayImage::from_pixel(2, 2, Luma([51]))
        .save(place.path("a.png"))
        .unwrap();
    refused(
        &spec(&place.path("a.png")),
        &["a.png", "single image", "folder"],
    );
    let whole = fs::read(place.path("a.png")).unwrap();
    place.write("b.png", b"just text");
    refused(&place.folder(), &["b.png", "not an image"]);
    place.write("b.png", &whole[..40]);
    refused(&place.folder(), &["b.png", "cannot be decoded"]);
    place.write("b.png", b"");
    refused(&place.folder(), &["b.png", "not an image"]);
}

#[test]
fn an_image_that_claims_to_be_huge_is_refused() {
    let place = Place::new();
    GrayImage::from_pixel(2, 2, Luma([51]))
        .save(place.path("a.png"))
        .unwrap();
    let mut bytes = fs::read(place.path("a.png")).unwrap();
    // Width and height, and the checksum of the header chunk, as a hostile writer would set them.
    bytes[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    place.write("a.png", &bytes);
    refused(&place.folder(), &["a.png", "cannot be decoded"]);
}

#[test]
#[ignore = "needs the files that scripts/fetch-data.sh fetches, under TWEEDIE_DATA"]
fn the_fetched_sets_are_what_they_should_be() {
    let root = PathBuf::from(std::env::var_os("TWEEDIE_DATA").expect("TWEEDIE_DATA is the folder"));
    // The means and deviations that everyone normalises these sets by.
    for (file, mean, std) in [
        ("mnist/train-images-idx3-ubyte", 0.1307, 0.3081),
        ("fashion-mnist/train-images-idx3-ubyte.gz", 0.2860, 0.3530),
    ] {
        let set = open(&spec(&root.join(file))).unwrap();
        assert_eq!((set.len(), set.shape().to_vec()), (60_000, vec![1, 28, 28]));
        let (found_mean, found_std) = set.mean_std();
        assert!(
            (found_mean - mean).abs() < 1e-4 && (found_std - std).abs() < 1e-4,
            "{file}"
        );
    }
}

fn with_labels(spec: DataSpec, name: &str) -> DataSpec {
    let labels = match name {
        "" => LabelSource::Auto,
        name => LabelSource::Named(name.into()),
    };
    DataSpec { labels, ..spec }
}

fn labels(spec: &DataSpec) -> Labels {
    open(spec).unwrap().labels().cloned().unwrap()
}

/// An IDX file of `n` images of one pixel, each its number.
fn idx_images(n: u8) -> Vec<u8> {
    let header = [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 1, 0, 0, 0, 1];
    header.into_iter().chain(0..n).collect()
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn npz(path: &Path, members: &[(&str, Vec<u8>)]) -> DataSpec {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{name}.npy"), options).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap();
    spec(path)
}

#[test]
fn labels_are_read_only_when_asked_for() {
    for name in BUILT_IN {
        let plain = open(&DataSpec::new(name)).unwrap();
        assert!(plain.labels().is_none(), "{name}");
        let asked = with_labels(DataSpec::new(name), "");
        if name == "swiss-roll" {
            refused(&asked, &["labels = ", "'swiss-roll' has no classes"]);
            continue;
        }
        let set = open(&asked).unwrap();
        assert_eq!(item(&set, 9), item(&plain, 9), "{name}");
        let classes = match name {
            "digits" => 10,
            "gaussians-8" => 8,
            "gaussians-25" => 25,
            _ => 2,
        };
        let found = set.labels().unwrap();
        assert_eq!((found.len(), found.classes().len()), (set.len(), classes));
    }
    let digits = labels(&with_labels(DataSpec::new("digits"), ""));
    assert_eq!(digits.values()[..4], [0, 1, 2, 3]);
    assert_eq!(
        digits.counts(),
        [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    );
    let named = with_labels(DataSpec::new("digits"), "labels.npy");
    refused(&named, &["labels = ", "built in", "labels = true"]);
    let text = "source = 'digits'\nlabels = true\nkind = 'signal'";
    let read: DataSpec = toml::from_str(text).unwrap();
    assert_eq!(
        (&read.labels, read.kind),
        (&LabelSource::Auto, Kind::Signal)
    );
    let plain = toml::to_string(&DataSpec::new("digits")).unwrap();
    assert!(
        !plain.contains("labels") && !plain.contains("kind"),
        "{plain}"
    );
    let again: DataSpec = toml::from_str(&toml::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}

#[test]
fn the_limit_and_standardise_keep_labels_with_their_items() {
    let place = Place::new();
    let csv = place.write("a.csv", b"x,c\n1,b\n2,a\n3,b\n4,c\n");
    let spec = DataSpec {
        limit: Some(3),
        standardise: true,
        ..with_labels(csv, "c")
    };
    let set = open(&spec).unwrap();
    let found = set.labels().unwrap();
    assert_eq!(found.values(), [1, 0, 1]);
    // Classes are those of the whole file, so that a limited set fits the same network.
    assert_eq!(found.classes(), ["a", "b", "c"]);
    assert!(
        set.notes()[0].contains("2 of the 3 classes"),
        "{:?}",
        set.notes()
    );
    let few = DataSpec {
        limit: Some(5),
        ..with_labels(DataSpec::new("digits"), "")
    };
    assert_eq!(labels(&few).values(), [0, 1, 2, 3, 4]);
    assert_eq!(labels(&few).classes().len(), 10);
}

#[test]
fn idx_files_find_their_labels_by_name() {
    let place = Place::new();
    let images = place.write("t10k-images-idx3-ubyte", &idx_images(3));
    let auto = with_labels(images.clone(), "");
    refused(
        &auto,
        &["t10k-labels-idx1-ubyte: no such file", "labels = "],
    );
    place.write("t10k-labels-idx1-ubyte.gz", &gzip(&idx_labels(&[2, 0, 1])));
    assert_eq!(labels(&auto).values(), [2, 0, 1]);
    place.write("t10k-labels-idx1-ubyte", &idx_labels(&[1, 1, 0]));
    assert_eq!(labels(&auto).values(), [1, 1, 0]);
    let packed = place.write("t10k-images-idx3-ubyte.gz", &gzip(&idx_images(3)));
    assert_eq!(labels(&with_labels(packed, "")).values(), [2, 0, 1]);
    let dotted = place.write("train-images.idx3-ubyte", &idx_images(2));
    place.write("train-labels.idx1-ubyte", &idx_labels(&[0, 1]));
    assert_eq!(labels(&with_labels(dotted, "")).values(), [0, 1]);

    let other = place.write("pixels", &idx_images(3));
    refused(
        &with_labels(other.clone(), ""),
        &["pixels", "no \"images\"", "labels = \"PATH\""],
    );
    let file = place.path("t10k-labels-idx1-ubyte");
    let named = with_labels(other.clone(), file.to_str().unwrap());
    assert_eq!(labels(&named).values(), [1, 1, 0]);
    place.write("t10k-labels-idx1-ubyte", &idx_labels(&[1, 1]));
    refused(&named, &["t10k-labels", "2 labels for 3 items"]);
    refused(&with_labels(other, "no-such"), &["read", "no-such"]);
}

#[test]
fn npy_and_npz_files_have_labels_beside_or_inside() {
    let place = Place::new();
    let pixels = npy("|u1", "(3, 1, 2)", &[0, 1, 2, 3, 4, 5]);
    let numbers = npy("<f4", "(3, 1)", &floats(&[2.0, 0.0, 2.0]));
    let data = place.write("x.npy", &pixels);
    let file = place.write("y.npy", &numbers).source;
    let beside = with_labels(data.clone(), &file);
    assert_eq!(labels(&beside).values(), [2, 0, 2]);
    assert_eq!(labels(&beside).classes(), ["0", "1", "2"]);
    // numpy's own kind of whole numbers.
    let wide: Vec<u8> = [300_i64, 0, 2]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let wide = place.write("wide.npy", &npy("<i8", "(3,)", &wide)).source;
    let wide = labels(&with_labels(data.clone(), &wide));
    assert_eq!(
        (wide.values(), wide.classes().len()),
        (&[300, 0, 2][..], 301)
    );
    refused(
        &with_labels(data.clone(), ""),
        &["labels = ", "another file", "PATH"],
    );
    let wrong = place.write("w.npy", &npy("<f4", "(3,)", &floats(&[0.0, 0.5, 1.0])));
    refused(
        &with_labels(data.clone(), &wrong.source),
        &["w.npy", "item 1", "0.5 is not a whole"],
    );
    let wrong = place.write("w.npy", &npy("<f4", "(3,)", &floats(&[0.0, 1.0, -1.0])));
    refused(
        &with_labels(data.clone(), &wrong.source),
        &["item 2", "negative"],
    );
    let wrong = place.write("w.npy", &npy("|u1", "(1, 3)", &[0, 1, 2]));
    refused(&with_labels(data, &wrong.source), &["[1, 3]", "[N]"]);

    // The likeliest name first; the array of labels is never taken for the data.
    let y = npy("|u1", "(3,)", &[1, 0, 0]);
    let members = [
        ("y_train", y.clone()),
        ("labels", numbers),
        ("x_train", pixels.clone()),
    ];
    let whole = npz(&place.path("a.npz"), &members);
    let auto = with_labels(whole.clone(), "");
    assert_eq!(labels(&auto).values(), [2, 0, 2]);
    let named = open(&with_labels(whole.clone(), "y_train")).unwrap();
    assert_eq!(named.labels().unwrap().values(), [1, 0, 0]);
    assert!(
        named
            .notes()
            .iter()
            .any(|note| note.contains("labels from 'y_train'")),
        "{:?}",
        named.notes()
    );
    refused(
        &with_labels(whole, "z"),
        &["labels = ", "'z'", "\"y_train\", \"labels\", \"x_train\""],
    );
    let pair = npz(
        &place.path("b.npz"),
        &[("arr_0", pixels.clone()), ("arr_1", y.clone())],
    );
    assert_eq!(labels(&with_labels(pair, "")).values(), [1, 0, 0]);
    let none = npz(&place.path("c.npz"), &[("arr_0", pixels)]);
    let beside = with_labels(none.clone(), &file);
    assert_eq!(labels(&beside).values(), [2, 0, 2]);
    refused(
        &with_labels(none, ""),
        &["labels = ", "\"arr_0\"", "name the one"],
    );
    let alone = npz(&place.path("d.npz"), &[("y", y)]);
    refused(&with_labels(alone, ""), &["d.npz", "nothing but 'y'"]);
}

#[test]
fn a_csv_column_is_taken_for_labels() {
    let place = Place::new();
    let csv = place.write(
        "iris.csv",
        b"length,species,width\n1,setosa,2\n3,virginica,4\n",
    );
    let set = open(&with_labels(csv.clone(), "species")).unwrap();
    assert_eq!(set.shape(), Shape::Vector { dim: 2 });
    assert_eq!(set.gather(&[0, 1]), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(set.labels().unwrap().classes(), ["setosa", "virginica"]);
    assert_eq!(labels(&with_labels(csv.clone(), "2")).values(), [0, 1]);
    refused(
        &with_labels(csv, "kind"),
        &["iris.csv", "\"kind\"", "\"length\", \"species\", \"width\""],
    );
}

#[test]
fn sub_folders_are_classes() {
    let place = Place::new();
    for (name, level) in [
        ("b/1.png", 51),
        ("a/x/2.png", 102),
        ("b/0.jpg", 255),
        ("c/3.webp", 0),
    ] {
        RgbImage::from_pixel(2, 2, Rgb([level; 3]))
            .save(place.path(name))
            .unwrap();
    }
    for name in ["", "folders"] {
        let set = open(&with_labels(place.folder(), name)).unwrap();
        let found = set.labels().unwrap();
        assert_eq!(found.classes(), ["a", "b", "c"]);
        assert_eq!(found.values(), [0, 1, 1, 2]);
        assert_eq!(item(&set, 0), [0.4; 12]);
        assert_eq!(item(&set, 2), [0.2; 12]);
    }
    let few = DataSpec {
        limit: Some(2),
        ..with_labels(place.folder(), "")
    };
    assert_eq!(labels(&few).values(), [0, 1]);
    assert_eq!(labels(&few).classes().len(), 3);
    // By a file: one label per image, in the order of their paths.
    let file = place
        .write("labels.npy", &npy("|u1", "(4,)", &[3, 0, 1, 1]))
        .source;
    assert_eq!(
        labels(&with_labels(place.folder(), &file)).values(),
        [3, 0, 1, 1]
    );
    refused(
        &with_labels(place.folder(), "no-such"),
        &["labels = ", "'no-such'", "labels = \"folders\""],
    );
    RgbImage::new(2, 2).save(place.path("loose.png")).unwrap();
    refused(
        &with_labels(place.folder(), ""),
        &["loose.png", "no sub-folder"],
    );
}

#[test]
fn signals_are_read_when_the_table_says_so() {
    let place = Place::new();
    let signal = |spec: DataSpec| DataSpec {
        kind: Kind::Signal,
        ..spec
    };
    let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let array = place.write("a.npy", &npy("<f4", "(2, 2, 3)", &floats(&values)));
    let shape = Shape::Signal {
        channels: 2,
        length: 3,
    };
    let set = open(&signal(array.clone())).unwrap();
    assert_eq!((set.len(), set.shape(), set.is_image()), (2, shape, false));
    assert_eq!(item(&set, 1), values[6..]);
    // The same file is grey images otherwise, whose values must lie in the range.
    refused(&array, &["a.npy", "outside range"]);
    let (mean, std) = open(&DataSpec {
        standardise: true,
        ..signal(array.clone())
    })
    .unwrap()
    .mean_std();
    assert!(mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6);
    let mono = place.write("b.npy", &npy("<f4", "(4, 3)", &floats(&values)));
    let shape = Shape::Signal {
        channels: 1,
        length: 3,
    };
    assert_eq!(open(&signal(mono)).unwrap().shape(), shape);
    let csv = place.write("c.csv", b"1,2,3\n4,5,6\n");
    assert_eq!(open(&signal(csv)).unwrap().shape(), shape);
    let images = place.write("d.npy", &npy("|u1", "(1, 1, 2, 2)", &[0; 4]));
    refused(&signal(images), &["d.npy", "holds no signals", "[N, C, T]"]);
    for name in ["digits", "two-moons"] {
        refused(&signal(DataSpec::new(name)), &["kind = ", name]);
    }
    let sized = DataSpec {
        size: Some(3),
        ..signal(array)
    };
    refused(&sized, &["size = ", "holds signals"]);
    GrayImage::new(2, 2).save(place.path("e.png")).unwrap();
    refused(&signal(place.folder()), &["kind = ", "remove kind"]);
}
