//! `torch.save` before PyTorch 1.6: pickles one behind the other (a magic number, the version of
//! the protocol, facts of the machine, the object, the keys of its storages), then for each storage
//! the number of its values, and the values.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::file::Stored;
use super::pickle::{Pickle, Value};
use super::{Dtype, state};

/// The pickle of PyTorch's magic number, 0x1950a86a20f9469cfc6c, by protocol 2 and its successors.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The protocol's version.
const VERSION: i64 = 1001;

/// Whether `bytes` begin as such a file: the pickle's own version, and the magic number.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x80) && bytes.get(2..).is_some_and(|rest| rest.starts_with(MAGIC))
}

/// The tensors of a file.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let magic = Pickle::load(bytes, 0)?;
    let version = Pickle::load(bytes, magic.end)?;
    if *version.get(version.root) != Value::Int(VERSION) {
        return Err(format!(
            "is not of version {VERSION} of PyTorch's old format"
        ));
    }
    let machine = Pickle::load(bytes, version.end)?;
    if is_big_endian(&machine) {
        return Err("was saved by a big-endian machine; save it on another".into());
    }
    let object = Pickle::load(bytes, machine.end)?;
    let keys = Pickle::load(bytes, object.end)?;
    let places = places(bytes, &object, &keys)?;
    state::tensors(&object, |storage| {
        let key = object.text(&storage.key);
        let place = places.get(key);
        let place = place.ok_or_else(|| format!("its storage {key} is not there"))?;
        let count = place.len() / storage.dtype.size();
        match count >= storage.count {
            true => Ok(place.clone()),
            false => Err(format!(
                "its storage {key} has {count} values where {} are claimed",
                storage.count
            )),
        }
    })
}

/// Whether the facts of the machine, `{"little_endian": True, ...}`, say so.
fn is_big_endian(machine: &Pickle<'_>) -> bool {
    let Value::Dict(facts) = machine.get(machine.root) else {
        return false;
    };
    facts.iter().any(|&[key, value]| {
        let order =
            matches!(machine.get(key), Value::Text(key) if machine.text(key) == "little_endian");
        order && *machine.get(value) == Value::Bool(false)
    })
}

/// Where the values of each storage lie. The numbers before them say how many there are; of which
/// type is said by the tensors.
fn places<'a>(
    bytes: &[u8],
    object: &Pickle<'_>,
    keys: &Pickle<'a>,
) -> Result<HashMap<&'a str, Range<usize>>, String> {
    let mut types: HashMap<&str, Dtype> = HashMap::new();
    for value in object.values() {
        if let Value::Storage(storage) = value {
            let key = object.text(&storage.key);
            if *types.entry(key).or_insert(storage.dtype) != storage.dtype {
                return Err(format!("its storage {key} is of two types"));
            }
        }
    }
    let Value::Sequence(ids) = keys.get(keys.root) else {
        return Err("has no list of its storages".into());
    };
    let (mut at, mut places) = (keys.end, HashMap::new());
    for &id in ids {
        let Value::Text(key) = keys.get(id) else {
            return Err("has a storage that is not named by text".into());
        };
        let key = keys.text(key);
        let size = match types.get(key) {
            Some(dtype) => dtype.size(),
            None => return Err(format!("its storage {key} is of no tensor")),
        };
        let place = place(bytes, at, size);
        let place = place.ok_or_else(|| {
            format!("ends within its storage {key}; it is incomplete, fetch or copy it again")
        })?;
        at = place.end;
        places.insert(key, place);
    }
    Ok(places)
}

/// The values behind their number, which is at `at`.
fn place(bytes: &[u8], at: usize, size: usize) -> Option<Range<usize>> {
    let (count, _) = bytes.get(at..)?.split_first_chunk()?;
    let count = usize::try_from(i64::from_le_bytes(*count)).ok()?;
    let start = at + size_of::<i64>();
    let end = start.checked_add(count.checked_mul(size)?)?;
    (end <= bytes.len()).then_some(start..end)
}
