//! A definition's graphs and metadata while they are written or read, key by key.

use std::collections::BTreeMap;

use crate::{
    Error, Network,
    opset::{Field, OPSET},
    value::{Graph, Named, Value},
};

#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<Named<Value>>);

impl Writer {
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.0.push(Named::new(name, value));
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.put(name, Value::Text(text.into()));
    }
}

/// The metadata while it is read; what is left at the end is a key of a newer opset or a mistake.
pub(super) struct Reader<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Reader<'a> {
    pub(super) fn new(all: &'a [Named<Value>]) -> Result<Self, Error> {
        let mut map = BTreeMap::new();
        match all.iter().find(|n| map.insert(n.name.as_str(), &n.value).is_some()) {
            Some(twice) => Err(Error::new(format!("metadata `{}` is given twice", twice.name))),
            None => Ok(Self(map)),
        }
    }

    pub(super) fn value(&mut self, key: &str) -> Result<Value, Error> {
        self.0.remove(key).cloned().ok_or_else(|| Error::new(format!("metadata `{key}` is missing")))
    }

    pub(super) fn need<T: Field>(&mut self, key: &str) -> Result<T, Error> {
        let value = self.value(key)?;
        T::decode(&value).ok_or_else(|| Error::new(format!("metadata `{key}` must be {}, found {value}", T::KIND)))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn optional<T: Field>(&mut self, key: &str) -> Result<Option<T>, Error> {
        if self.0.contains_key(key) { self.need(key).map(Some) } else { Ok(None) }
    }

    pub(super) fn optional_texts(&mut self, key: &str) -> Result<Vec<String>, Error> {
        if self.0.contains_key(key) { self.texts(key) } else { Ok(Vec::new()) }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, Error> {
        match self.value(key)? {
            Value::Texts(texts) => Ok(texts),
            other => Err(Error::new(format!("metadata `{key}` must be a list of texts, found {other}"))),
        }
    }

    pub(super) fn one_of<T: Copy>(&mut self, key: &str, known: &[(&str, T)]) -> Result<T, Error> {
        let text: String = self.need(key)?;
        known.iter().find(|(name, _)| *name == text).map(|(_, t)| *t).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
            Error::new(format!("metadata `{key}` must be one of {}, found {text:?}", names.join(", ")))
        })
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self.0.first_key_value() {
            Some((key, _)) => Err(Error::new(format!("metadata `{key}` is unknown in opset {OPSET}"))),
            None => Ok(()),
        }
    }
}

pub(super) struct Graphs<'a>(BTreeMap<&'a str, &'a Graph>);

impl<'a> Graphs<'a> {
    pub(super) fn new(all: &'a [Named<Graph>]) -> Result<Self, Error> {
        let mut map = BTreeMap::new();
        match all.iter().find(|n| map.insert(n.name.as_str(), &n.value).is_some()) {
            Some(twice) => Err(Error::new(format!("graph `{}` is given twice", twice.name))),
            None => Ok(Self(map)),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Result<Option<Network>, Error> {
        self.0
            .remove(name)
            .map(|g| Network::decode(g).map_err(|e| e.within(format_args!("graph `{name}`"))))
            .transpose()
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Network, Error> {
        self.take(name)?.ok_or_else(|| Error::new(format!("graph `{name}` is missing")))
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        match self.0.first_key_value() {
            Some((name, _)) => Err(Error::new(format!("graph `{name}` is unknown in opset {OPSET}"))),
            None => Ok(()),
        }
    }
}
