//! The tensors of a pickle by name.

use std::collections::BTreeMap;
use std::ops::Range;

use super::file::Stored;
use super::pickle::{Id, Pickle, Storage, Value};

/// More containers within each other than any checkpoint has.
const DEEPEST: usize = 32;
/// Bytes of a name: without a limit a long key and many tensors below it would take the product
/// of both.
const LONGEST: usize = 512;

/// The tensors within the result of `pickle`, named by the keys and places that lead to them;
/// `locate` finds the bytes of a storage in the file.
pub(super) fn tensors(
    pickle: &Pickle<'_>,
    locate: impl FnMut(&Storage) -> Result<Range<usize>, String>,
) -> Result<BTreeMap<String, Stored>, String> {
    let mut walk = Walk {
        pickle,
        locate,
        // As many as there are values, where none is shared: a few shared ones, like tied weights,
        // are visited again.
        left: 2 * pickle.values().len() + 1000,
        found: BTreeMap::new(),
    };
    walk.visit(pickle.root, "", 0)?;
    Ok(walk.found)
}

struct Walk<'a, 'b, F> {
    pickle: &'a Pickle<'b>,
    locate: F,
    /// Visits left.
    left: usize,
    found: BTreeMap<String, Stored>,
}

impl<F: FnMut(&Storage) -> Result<Range<usize>, String>> Walk<'_, '_, F> {
    fn visit(&mut self, id: Id, name: &str, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        self.left = match self.left.checked_sub(1) {
            Some(left) if depth <= DEEPEST => left,
            _ => return Err("has containers within containers without end".into()),
        };
        match pickle.get(id) {
            Value::Tensor(tensor) => {
                let mut storage = (self.locate)(&tensor.storage)?;
                if let Some([first, count]) = tensor.storage.part {
                    storage = part(storage, tensor.storage.dtype.size(), [first, count])?;
                }
                let stored = Stored::of_storage(
                    name,
                    tensor.storage.dtype,
                    storage,
                    tensor.offset,
                    tensor.shape.clone(),
                    tensor.strides.clone(),
                )?;
                if self.found.insert(name.to_owned(), stored).is_some() {
                    return Err(format!("has two tensors named {name}"));
                }
            }
            Value::Sequence(items) => {
                for (place, &item) in items.iter().enumerate() {
                    if self.holds_tensors(item) {
                        self.visit(item, &within(name, &place.to_string())?, depth + 1)?;
                    }
                }
            }
            Value::Dict(items) => {
                for &[key, item] in items {
                    if !self.holds_tensors(item) {
                        continue;
                    }
                    let name = match pickle.get(key) {
                        Value::Text(key) => within(name, pickle.text(key))?,
                        Value::Int(key) => within(name, &key.to_string())?,
                        // Keyed by something else, which names nothing.
                        _ => continue,
                    };
                    self.visit(item, &name, depth + 1)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there may be tensors in it: most values of a configuration are none.
    fn holds_tensors(&self, id: Id) -> bool {
        let value = self.pickle.get(id);
        matches!(
            value,
            Value::Tensor(_) | Value::Sequence(_) | Value::Dict(_)
        )
    }
}

/// The name `inner` in `outer`.
fn within(outer: &str, inner: &str) -> Result<String, String> {
    let name = match outer {
        "" => inner.to_owned(),
        _ => format!("{outer}.{inner}"),
    };
    match name.len() <= LONGEST {
        true => Ok(name),
        false => Err(format!(
            "has a tensor with a name of more than {LONGEST} bytes"
        )),
    }
}

/// Values `first` to `first + count` of a storage with values of `size` bytes.
fn part(
    storage: Range<usize>,
    size: usize,
    [first, count]: [usize; 2],
) -> Result<Range<usize>, String> {
    let all = storage.len() / size;
    let end = first.checked_add(count).filter(|&end| end <= all);
    match end {
        Some(end) => Ok(storage.start + first * size..storage.start + end * size),
        None => Err("has a part of a storage that reaches beyond it".into()),
    }
}
