use std::fs;

use super::*;

/// Two arrays a section, different in each.
fn example(step: u64) -> Checkpoint {
    let array = |shape: &[usize], offset: f32| Array {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|i: usize| i as f32 + offset + step as f32)
            .collect(),
    };
    let section = |(name, offset): (&str, f32)| {
        let arrays = [
            ("a.weight".into(), array(&[2, 3], offset)),
            ("a.bias".into(), array(&[2], -offset)),
        ];
        (name.to_owned(), ByName::from(arrays))
    };
    let names = ["model", "ema", "adam.first", "adam.second"];
    let sections = names.into_iter().zip([0.1, 1.0, 2.0, 3.5]).map(section);
    Checkpoint {
        step,
        sections: sections.collect(),
    }
}

#[test]
fn round_trips_and_keeps_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path().join("checkpoints"));
    assert!(checkpoints.steps().unwrap().is_empty());
    for step in [10, 20, 30] {
        checkpoints
            .save(&example(step), &About::default(), 2)
            .unwrap();
    }
    assert_eq!(checkpoints.steps().unwrap(), [20, 30]);
    assert_eq!(checkpoints.load(30).unwrap(), example(30));
    assert_eq!(
        &checkpoints.section(20, "ema").unwrap(),
        example(20).section("ema").unwrap()
    );
    let names: Vec<_> = fs::read_dir(checkpoints.path(30))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(fs::read_dir(checkpoints.folder()).unwrap().count(), 2);
}
