//! The pickles of CIFAR's Python form, read as data: a dictionary of words, whole numbers, lists of them and arrays of bytes.
//! A pickle is a program, and most of what it can say is not understood here: nothing that it names is ever looked up or
//! run, and an array is its sizes and its bytes. Whatever else stands in it is an error.

use std::{borrow::Cow, collections::HashMap};

use crate::text::Show as _;

/// More values than any of these files has: CIFAR-100's has 150,000.
const MOST_VALUES: usize = 1 << 22;

/// Lists, words and arrays, each by its number, so that what is named twice is there once.
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    top: usize,
}

/// A value; those that hold others hold their numbers.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Nothing,
    Whole(i64),
    Words(Cow<'a, [u8]>),
    List(Vec<usize>),
    Tuple(Vec<usize>),
    Dictionary(Vec<(usize, usize)>),
    /// What a program would look up, by module and name.
    Name(String),
    /// What kind of numbers an array has, as `u1`.
    Kind(String),
    /// An array; until its state has been seen, without any.
    Array(Option<Array>),
}

/// The sizes of an array of bytes, and the number of the value that has them.
#[derive(Debug, Clone)]
pub(super) struct Array {
    sizes: Vec<usize>,
    bytes: usize,
}

impl<'a> Pickle<'a> {
    /// Reads a whole pickle; otherwise what is wrong with it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine =
            Machine { bytes, at: 0, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        loop {
            let at = machine.at;
            let code = machine.byte()?;
            if code == b'.' {
                let top = machine.pop()?;
                return Ok(Self { values: machine.values, top });
            }
            machine.step(code).map_err(|why| format!("pickle, byte {at}: {why}"))?;
            if machine.values.len().max(machine.stack.len()) > MOST_VALUES {
                return Err(format!("pickle, byte {at}: more than {MOST_VALUES} values, which is absurd"));
            }
        }
    }

    fn get(&self, key: &str) -> Result<&Value<'a>, String> {
        let Value::Dictionary(pairs) = &self.values[self.top] else { return Err("it holds no dictionary".into()) };
        let is_key = |id: usize| matches!(&self.values[id], Value::Words(words) if **words == *key.as_bytes());
        let found = pairs.iter().find(|(k, _)| is_key(*k)).map(|(_, value)| &self.values[*value]);
        found.ok_or_else(|| format!("its dictionary has no `{key}`"))
    }

    /// The sizes and the bytes of an array.
    pub(super) fn array(&self, key: &str) -> Result<(&[usize], &[u8]), String> {
        let Value::Array(Some(array)) = self.get(key)? else { return Err(format!("its `{key}` is no array of bytes")) };
        let Value::Words(bytes) = &self.values[array.bytes] else { return Err(format!("its `{key}` has no bytes")) };
        let expected = array.sizes.iter().try_fold(1_usize, |n, &size| n.checked_mul(size));
        if expected != Some(bytes.len()) {
            return Err(format!(
                "its `{key}` has {} bytes, which its sizes {:?} do not make",
                bytes.len(),
                array.sizes
            ));
        }
        Ok((&array.sizes, bytes))
    }

    fn list(&self, key: &str) -> Result<impl Iterator<Item = &Value<'a>>, String> {
        let Value::List(list) = self.get(key)? else { return Err(format!("its `{key}` is no list")) };
        Ok(list.iter().map(|id| &self.values[*id]))
    }

    /// A list of whole numbers.
    pub(super) fn numbers(&self, key: &str) -> Result<Vec<i64>, String> {
        let number = |(i, value): (usize, &Value<'a>)| match value {
            Value::Whole(number) => Ok(*number),
            _ => Err(format!("item {i} of its `{key}` is no whole number")),
        };
        self.list(key)?.enumerate().map(number).collect()
    }

    /// A list of words.
    pub(super) fn words(&self, key: &str) -> Result<Vec<String>, String> {
        let words = |(i, value): (usize, &Value<'a>)| match value {
            Value::Words(words) => Ok(String::from_utf8_lossy(words).into_owned()),
            _ => Err(format!("item {i} of its `{key}` is no word")),
        };
        self.list(key)?.enumerate().map(words).collect()
    }
}

/// What a pickle's instructions work on.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<usize, usize>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| {
            format!("truncated: {count} bytes are expected at byte {}, the file ends at {}", self.at, self.bytes.len())
        })?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A number of `count` bytes, the lowest first.
    fn number(&mut self, count: usize) -> Result<usize, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)))
    }

    /// As many bytes as a number before them says.
    fn counted(&mut self, count: usize) -> Result<&'a [u8], String> {
        let length = self.number(count)?;
        self.take(length)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr(b'\n', rest).ok_or("truncated: a line does not end")?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| "a line is no text".into())
    }

    fn push(&mut self, value: Value<'a>) {
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn pop(&mut self) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("damaged: a value is missing".into());
        }
        self.stack.pop().ok_or_else(|| "damaged: a value is missing".into())
    }

    fn top(&self) -> Result<usize, String> {
        self.stack.last().copied().ok_or_else(|| "damaged: a value is missing".into())
    }

    /// What was pushed since the last mark.
    fn marked(&mut self) -> Result<Vec<usize>, String> {
        let mark = self.marks.pop().ok_or("damaged: a mark is missing")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<usize>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.values[list] {
            Value::List(list) => list.extend(items),
            _ => return Err("damaged: something is appended to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[usize]) -> Result<(), String> {
        let dictionary = self.top()?;
        match &mut self.values[dictionary] {
            Value::Dictionary(pairs) if items.len().is_multiple_of(2) => {
                pairs.extend(items.chunks_exact(2).map(|p| (p[0], p[1])));
            }
            _ => return Err("damaged: pairs are put into what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, number: usize) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: usize) -> Result<(), String> {
        let value = *self.memo.get(&number).ok_or("damaged: it names a value that is not there")?;
        self.stack.push(value);
        Ok(())
    }

    fn words_of(&self, id: usize) -> Result<&[u8], String> {
        match &self.values[id] {
            Value::Words(words) => Ok(words),
            _ => Err("damaged: a word is missing".into()),
        }
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            // The protocol, and how long a part of the file is.
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'N' => self.push(Value::Nothing),
            0x88 => self.push(Value::Whole(1)),
            0x89 => self.push(Value::Whole(0)),
            b'K' | b'M' => {
                let number = self.number(if code == b'K' { 1 } else { 2 })?;
                self.push(Value::Whole(number as i64));
            }
            b'J' => {
                let number = self.number(4)? as u32;
                self.push(Value::Whole(i64::from(number.cast_signed())));
            }
            b'I' => {
                let line = self.line()?;
                let number = line.trim().parse().map_err(|_| format!("{} is no whole number", line.shown()))?;
                self.push(Value::Whole(number));
            }
            b'U' | b'C' | 0x8c => {
                let words = self.counted(1)?;
                self.push(Value::Words(words.into()));
            }
            b'T' | b'B' | b'X' => {
                let words = self.counted(4)?;
                self.push(Value::Words(words.into()));
            }
            0x8d | 0x8e | 0x96 => {
                let words = self.counted(8)?;
                self.push(Value::Words(words.into()));
            }
            b'S' => {
                let line = self.line()?.trim_end();
                let quoted = ['\'', '"'].iter().find_map(|&q| line.strip_prefix(q)?.strip_suffix(q));
                let words = quoted.filter(|w| !w.contains('\\')).ok_or("a word is not in plain quotes")?;
                self.push(Value::Words(words.as_bytes().into()));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'l' => {
                let items = self.marked()?;
                self.push(Value::List(items));
            }
            b'd' => {
                let items = self.marked()?;
                self.push(Value::Dictionary(Vec::new()));
                self.set(&items)?;
            }
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items));
            }
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.set(&items)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'q' | b'r' => {
                let number = self.number(if code == b'q' { 1 } else { 4 })?;
                self.remember(number)?;
            }
            b'h' | b'j' => {
                let number = self.number(if code == b'h' { 1 } else { 4 })?;
                self.recall(number)?;
            }
            b'p' | b'g' => {
                let line = self.line()?;
                let number = line.trim().parse().map_err(|_| format!("{} is no place", line.shown()))?;
                if code == b'p' { self.remember(number)? } else { self.recall(number)? }
            }
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.name(name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let [module, name] = [module, name].map(|id| self.words_of(id).map(String::from_utf8_lossy));
                let name = format!("{} {}", module?, name?);
                self.name(name)?;
            }
            b'R' => self.call()?,
            b'b' => self.state()?,
            _ => return Err(format!("its instruction {code:#04x} stands in no data set of this kind")),
        }
        Ok(())
    }

    /// The few names that an array is made of.
    fn name(&mut self, name: String) -> Result<(), String> {
        const KNOWN: [&str; 7] = [
            "numpy.core.multiarray _reconstruct",
            "numpy._core.multiarray _reconstruct",
            "numpy.core.numeric _frombuffer",
            "numpy._core.numeric _frombuffer",
            "numpy ndarray",
            "numpy dtype",
            "_codecs encode",
        ];
        if !KNOWN.contains(&name.as_str()) {
            return Err(format!(
                "it names `{}`, which is never run and stands in no data set of this kind",
                name.shown()
            ));
        }
        self.push(Value::Name(name));
        Ok(())
    }

    /// What a call would make of the few that are known.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Name(name), Value::Tuple(items)) = (&self.values[function], &self.values[arguments]) else {
            return Err("damaged: it calls what has no name".into());
        };
        let made = match (name.rsplit(' ').next().unwrap_or_default(), &items[..]) {
            ("_reconstruct", _) => Value::Array(None),
            ("dtype", [kind, ..]) => Value::Kind(String::from_utf8_lossy(self.words_of(*kind)?).into_owned()),
            // Bytes as the characters of those numbers.
            ("encode", [text, ..]) => {
                let text = std::str::from_utf8(self.words_of(*text)?).map_err(|_| "damaged: a word is no text")?;
                let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                Value::Words(bytes.map_err(|_| "damaged: a character is no byte")?.into())
            }
            ("_frombuffer", &[bytes, kind, sizes, order]) => {
                let by_columns = self.words_of(order)? != b"C";
                Value::Array(Some(self.array(sizes, kind, by_columns, bytes)?))
            }
            _ => return Err("damaged: it makes an array of something else".into()),
        };
        self.push(made);
        Ok(())
    }

    /// What an array holds; a kind's own state says nothing more.
    fn state(&mut self) -> Result<(), String> {
        let (state, of) = (self.pop()?, self.top()?);
        match (&self.values[of], &self.values[state]) {
            (Value::Kind(_), _) => Ok(()),
            (Value::Array(None), Value::Tuple(items)) => {
                let &[_, sizes, kind, by_columns, bytes] = &items[..] else {
                    return Err("damaged: an array has another state".into());
                };
                let by_columns = !matches!(self.values[by_columns], Value::Whole(0));
                let array = self.array(sizes, kind, by_columns, bytes)?;
                self.values[of] = Value::Array(Some(array));
                Ok(())
            }
            _ => Err("damaged: it gives a state to what has none".into()),
        }
    }

    fn array(&self, sizes: usize, kind: usize, by_columns: bool, bytes: usize) -> Result<Array, String> {
        let kind = match &self.values[kind] {
            Value::Kind(kind) => kind.trim_start_matches('|'),
            _ => "nothing",
        };
        if kind != "u1" || by_columns {
            let order = if by_columns { " by columns" } else { "" };
            return Err(format!("an array of {}{order}, expected one of bytes (u1) by rows", kind.shown()));
        }
        let Value::Tuple(sizes) = &self.values[sizes] else { return Err("damaged: an array has no sizes".into()) };
        let size = |id: &usize| match self.values[*id] {
            Value::Whole(size) => usize::try_from(size).ok(),
            _ => None,
        };
        let sizes: Option<Vec<usize>> = sizes.iter().map(size).collect();
        Ok(Array { sizes: sizes.ok_or("damaged: an array has no sizes")?, bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_would_run_is_named_and_never_run() {
        let message = |bytes: &[u8]| Pickle::read(bytes).map(|_| ()).unwrap_err();
        let system = message(b"cposix\nsystem\n(S'touch /tmp/owned'\ntR.");
        assert!(system.starts_with("pickle, byte 0: it names `posix system`, which is never run"), "{system}");
        let stacked = message(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.");
        assert!(stacked.contains("it names `builtins eval`"), "{stacked}");
        let class = message(b"\x80\x02(S'x'\niposix\nsystem\n.");
        assert!(class.contains("its instruction 0x69 stands in no data set"), "{class}");
        for bytes in
            [&b""[..], b"\x80\x02", b"\x80\x02}", b"(", b"X\xff\xff\xff\xffno", b"h\0.", b"a.", b"R.", b"(.", b"\x93."]
        {
            assert!(Pickle::read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn the_oldest_form_is_read() {
        let pickle =
            Pickle::read(b"(dp1\nS'label_names'\np2\n(lp3\nS'cat'\np4\naS'dog'\np5\nasS'n'\np6\nI7\ns.").unwrap();
        assert_eq!(pickle.words("label_names"), Ok(vec!["cat".into(), "dog".into()]));
        assert_eq!(pickle.numbers("label_names"), Err("item 0 of its `label_names` is no whole number".into()));
        assert_eq!(pickle.words("n"), Err("its `n` is no list".into()));
        assert_eq!(pickle.words("m"), Err("its dictionary has no `m`".into()));
    }

    proptest! {
        #[test]
        fn random_instructions_never_panic(
            bytes in prop::collection::vec(prop::sample::select(&b"(.0NKJIUTX]})ldtaesuqrhjpgcRb'\n 1\0\x01\x80\x85\x86\x87\x93\x94\x95"[..]), 0..80)
        ) {
            if let Ok(pickle) = Pickle::read(&bytes) {
                let _ = (pickle.array("data").is_ok(), pickle.numbers("labels"), pickle.words("label_names"));
            }
        }
    }
}
