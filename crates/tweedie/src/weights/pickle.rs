//! A machine for the part of Python's pickle language that weights need.
//!
//! A pickle is a program for a stack machine. Containers and plain values have opcodes of their
//! own. Everything else is a call of a global by name; the names that are known here stand for
//! tensors and containers, and what Python would do is done by this file. Any other name is an
//! error, so nothing that a file brings is ever run.
//!
//! Values lie in one list and refer to each other by number, as they do in Python: cycles and
//! shared values are possible and cost nothing. No opcode copies a container, so memory is bounded
//! by the length of the program.

use std::collections::HashMap;
use std::ops::Range;

use super::Dtype;

/// A value's number.
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// None, a fraction, bytes: nothing that names or measures a tensor.
    Other,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits: its little-endian bytes.
    Long(Range<usize>),
    /// UTF-8, in the pickle's bytes.
    Text(Range<usize>),
    /// Of a list, a tuple or a set.
    Sequence(Vec<Id>),
    Dict(Vec<[Id; 2]>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
}

/// What may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `torch._utils._rebuild_tensor`, and its second version.
    RebuildTensor,
    RebuildParameter,
    Size,
    StorageOf(Dtype),
}

/// Values outside the pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub dtype: Dtype,
    /// Its name, in the pickle's bytes.
    pub key: Range<usize>,
    /// Values of all of it.
    pub count: usize,
    /// The part that is meant, of old files: the first value and how many.
    pub part: Option<[usize; 2]>,
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub storage: Box<Storage>,
    /// Its first value.
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What a pickle has built.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    /// The result.
    pub root: Id,
    /// Where the pickle ends.
    pub end: usize,
}

/// More sides than a weight has.
const MOST_SIDES: usize = 8;

impl<'a> Pickle<'a> {
    /// Runs the pickle in `bytes` from `start` on.
    pub fn load(bytes: &'a [u8], start: usize) -> Result<Self, String> {
        let mut machine = Machine {
            bytes,
            at: start,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        while !machine.step()? {}
        let root = machine.pop()?;
        Ok(Self {
            bytes,
            root,
            end: machine.at,
            values: machine.values,
        })
    }

    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The text at `range`, which was checked when it was read.
    pub fn text(&self, range: &Range<usize>) -> &'a str {
        text(self.bytes, range)
    }
}

fn text<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    std::str::from_utf8(&bytes[range.clone()]).unwrap_or_default()
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    /// Carries out one opcode; whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.byte()?;
        match opcode {
            // PROTO, FRAME: how it is written; every opcode is known by itself.
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            b'.' => return Ok(true),

            // NONE, NEWTRUE, NEWFALSE, BINFLOAT.
            b'N' => self.push(Value::Other),
            0x88 | 0x89 => self.push(Value::Bool(opcode == 0x88)),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            // BININT, BININT1, BININT2.
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            // LONG1, LONG4.
            0x8a => {
                let len = self.byte()?;
                self.long(len.into())?;
            }
            0x8b => {
                let len = self.length4()?;
                self.long(len)?;
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8, SHORT_BINSTRING, BINSTRING.
            0x8c | b'U' => {
                let len = self.byte()?;
                self.string(len.into())?;
            }
            b'X' | b'T' => {
                let len = self.length4()?;
                self.string(len)?;
            }
            0x8d => {
                let len = self.length8()?;
                self.string(len)?;
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8.
            b'C' => {
                let len = self.byte()?;
                self.other(len.into())?;
            }
            b'B' => {
                let len = self.length4()?;
                self.other(len)?;
            }
            0x8e => {
                let len = self.length8()?;
                self.other(len)?;
            }

            // EMPTY_LIST, EMPTY_TUPLE, EMPTY_SET, EMPTY_DICT.
            b']' | b')' | 0x8f => self.push(Value::Sequence(vec![])),
            b'}' => self.push(Value::Dict(vec![])),
            // MARK; LIST, TUPLE, DICT from it.
            b'(' => self.marks.push(self.stack.len()),
            b'l' | b't' => {
                let items = self.marked()?;
                self.push(Value::Sequence(items));
            }
            b'd' => {
                let items = self.pairs()?;
                self.push(Value::Dict(items));
            }
            // TUPLE1 to TUPLE3.
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let first = self.floor(count)?;
                let items = self.stack.split_off(first);
                self.push(Value::Sequence(items));
            }
            // APPEND, APPENDS, ADDITEMS.
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.extend(items)?;
            }
            // SETITEM, SETITEMS.
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![[key, value]])?;
            }
            b'u' => {
                let items = self.pairs()?;
                self.set(items)?;
            }

            // POP, POP_MARK, DUP.
            b'0' => {
                self.pop()?;
            }
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            // BINPUT, LONG_BINPUT, MEMOIZE; BINGET, LONG_BINGET.
            b'q' => {
                let key = self.byte()?;
                self.put(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.put(key)?;
            }
            0x94 => {
                let key = u32::try_from(self.memo.len()).map_err(|_| damaged("its memo"))?;
                self.put(key)?;
            }
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }

            // GLOBAL, STACK_GLOBAL: a name.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = self.global(&module, &name)?;
                self.push(Value::Global(global));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.text_of(module)?, self.text_of(name)?);
                let global = self.global(&module, &name)?;
                self.push(Value::Global(global));
            }
            // REDUCE: a call. BUILD: a state for an object. BINPERSID: something outside.
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            b'b' => {
                self.pop()?;
                // The attributes of a state_dict, which say nothing of its tensors.
                if !matches!(self.values[self.top()?], Value::Dict(_)) {
                    return Err("sets the state of what is not a dictionary".into());
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Value::Storage(Box::new(storage)));
            }
            other => {
                let reason = format!("its opcode {:?} is not one of weights", char::from(other));
                return Err(damaged(&reason));
            }
        }
        Ok(false)
    }

    // Bytes

    fn take(&mut self, count: usize) -> Result<Range<usize>, String> {
        let end = self.at.checked_add(count);
        match end.filter(|&end| end <= self.bytes.len()) {
            Some(end) => Ok(std::mem::replace(&mut self.at, end)..end),
            None => Err(damaged("it ends too early")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let range = self.take(N)?;
        let bytes = self.bytes[range].try_into();
        bytes.map_err(|_| damaged("it ends too early"))
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn length4(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn length8(&mut self) -> Result<usize, String> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| damaged("it ends too early"))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let len = end.ok_or_else(|| damaged("it ends too early"))?;
        let line = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.at += len + 1;
        Ok(line)
    }

    // The stack

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// The height of the stack less `count`, which does not reach below the last mark.
    fn floor(&self, count: usize) -> Result<usize, String> {
        let least = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(count);
        height
            .filter(|&height| height >= least)
            .ok_or_else(|| damaged("its stack is empty"))
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.floor(1)?;
        self.stack
            .pop()
            .ok_or_else(|| damaged("its stack is empty"))
    }

    fn top(&self) -> Result<Id, String> {
        Ok(self.stack[self.floor(1)?])
    }

    /// All above the last mark, which goes too.
    fn marked(&mut self) -> Result<Vec<Id>, String> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(damaged("it has no mark")),
        }
    }

    fn pairs(&mut self) -> Result<Vec<[Id; 2]>, String> {
        let items = self.marked()?;
        match items.as_chunks() {
            (pairs, []) => Ok(pairs.to_vec()),
            _ => Err(damaged("a key has no value")),
        }
    }

    fn put(&mut self, key: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key);
        self.stack
            .push(*id.ok_or_else(|| damaged("it recalls what it has not kept"))?);
        Ok(())
    }

    // Values

    fn long(&mut self, len: usize) -> Result<(), String> {
        let range = self.take(len)?;
        let bytes = &self.bytes[range.clone()];
        self.push(match len {
            0..=8 => {
                // Two's complement: the sign fills what is missing.
                let sign = bytes.last().is_some_and(|&last| last >= 0x80);
                let mut all = [if sign { 0xff } else { 0 }; 8];
                all[..len].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(all))
            }
            _ => Value::Long(range),
        });
        Ok(())
    }

    fn string(&mut self, len: usize) -> Result<(), String> {
        let range = self.take(len)?;
        let valid = std::str::from_utf8(&self.bytes[range.clone()]).is_ok();
        self.push(match valid {
            true => Value::Text(range),
            // Bytes of a string of Python 2.
            false => Value::Other,
        });
        Ok(())
    }

    fn other(&mut self, len: usize) -> Result<(), String> {
        self.take(len)?;
        self.push(Value::Other);
        Ok(())
    }

    fn text_of(&self, id: Id) -> Result<String, String> {
        match &self.values[id] {
            Value::Text(range) => Ok(text(self.bytes, range).to_owned()),
            _ => Err(damaged("a name is not text")),
        }
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Sequence(to) => to.extend(items),
            _ => return Err(damaged("it appends to what is not a list")),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<[Id; 2]>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(to) => to.extend(items),
            _ => return Err(damaged("it sets items of what is not a dictionary")),
        }
        Ok(())
    }

    /// The one place that decides what a file may name.
    fn global(&self, module: &str, name: &str) -> Result<Global, String> {
        let storage = |dtype| Ok(Global::StorageOf(dtype));
        match (module, name) {
            ("collections", "OrderedDict") => Ok(Global::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Ok(Global::RebuildParameter),
            ("torch", "Size") => Ok(Global::Size),
            ("torch", "HalfStorage") => storage(Dtype::F16),
            ("torch", "BFloat16Storage") => storage(Dtype::Bf16),
            ("torch", "FloatStorage") => storage(Dtype::F32),
            ("torch", "DoubleStorage") => storage(Dtype::F64),
            ("torch", "LongStorage") => storage(Dtype::I64),
            ("torch", "IntStorage") => storage(Dtype::I32),
            ("torch", "ShortStorage") => storage(Dtype::I16),
            ("torch", "CharStorage") => storage(Dtype::I8),
            ("torch", "ByteStorage") => storage(Dtype::U8),
            ("torch", "BoolStorage") => storage(Dtype::Bool),
            _ => {
                let named = format!("{module}.{name}");
                let named: String = named.escape_debug().take(100).collect();
                Err(format!(
                    "asks for {named}, which is no tensor and no plain container; nothing of it \
                     was run; save the state_dict() alone"
                ))
            }
        }
    }

    /// What calling a global makes.
    fn call(&mut self, function: Id, arguments: Id) -> Result<(), String> {
        let Value::Global(global) = self.values[function] else {
            return Err(damaged("it calls what is not a function"));
        };
        let Value::Sequence(arguments) = &self.values[arguments] else {
            return Err(damaged("a call has no arguments"));
        };
        match (global, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Value::Dict(vec![])),
            // Shapes, and parameters: the tensor is all that matters.
            (Global::Size, &[same]) | (Global::RebuildParameter, &[same, ..]) => {
                self.stack.push(same);
            }
            (Global::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor([storage, offset, shape, strides])?;
                self.push(Value::Tensor(Box::new(tensor)));
            }
            _ => return Err(damaged(&format!("{global:?} has other arguments"))),
        }
        Ok(())
    }

    fn tensor(&self, [storage, offset, shape, strides]: [Id; 4]) -> Result<Tensor, String> {
        let Value::Storage(storage) = &self.values[storage] else {
            return Err(damaged("a tensor has no storage"));
        };
        Ok(Tensor {
            storage: storage.clone(),
            offset: self.natural(offset)?,
            shape: self.naturals(shape)?,
            strides: self.naturals(strides)?,
        })
    }

    /// `("storage", type, key, location, count)`, and in old files a part of it or None.
    fn storage(&self, id: Id) -> Result<Storage, String> {
        let wrong = || damaged("a storage is not described as PyTorch does");
        let Value::Sequence(parts) = &self.values[id] else {
            return Err(wrong());
        };
        let (&[kind, of, key, _, count], more) = parts.split_first_chunk().ok_or_else(wrong)?;
        if self.text_of(kind)? != "storage" {
            return Err(wrong());
        }
        let (Value::Global(Global::StorageOf(dtype)), Value::Text(key)) =
            (&self.values[of], &self.values[key])
        else {
            return Err(wrong());
        };
        let part = match more.first().map(|&part| &self.values[part]) {
            // Its own key, the first value, the number of values.
            Some(Value::Sequence(part)) => match part[..] {
                [_, first, count] => Some([self.natural(first)?, self.natural(count)?]),
                _ => return Err(wrong()),
            },
            _ => None,
        };
        Ok(Storage {
            dtype: *dtype,
            key: key.clone(),
            count: self.natural(count)?,
            part,
        })
    }

    fn natural(&self, id: Id) -> Result<usize, String> {
        let number = match self.values[id] {
            Value::Int(number) => usize::try_from(number).ok(),
            _ => None,
        };
        number.ok_or_else(|| damaged("a size is not a natural number"))
    }

    fn naturals(&self, id: Id) -> Result<Vec<usize>, String> {
        match &self.values[id] {
            Value::Sequence(items) if items.len() <= MOST_SIDES => {
                items.iter().map(|&item| self.natural(item)).collect()
            }
            _ => Err(damaged("a shape is not a list of at most 8 sizes")),
        }
    }
}

fn damaged(reason: &str) -> String {
    format!("its pickle cannot be read ({reason})")
}
