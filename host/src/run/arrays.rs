//! Named arrays in safetensors files. Reading goes through the safetensors crate, which trusts no file. Writing makes
//! the header itself, because the crate writes metadata in a random order and a run's files must be the same bytes
//! each time. Knows nothing of tensors on devices.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    path::Path,
};

use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use super::{RunError, write};
use crate::{
    files::{self, MOST_ARRAYS},
    text::Show as _,
};

/// Texts stored beside the arrays, in alphabetical order.
pub type Metadata = BTreeMap<String, String>;

macro_rules! array_types {
    ($($name:ident, $bytes:literal, $help:literal;)*) => {
        /// What an array's elements are; names and bytes are safetensors'.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ArrayType {
            $(#[doc = $help] $name,)*
        }

        impl ArrayType {
            /// Bytes of one element.
            pub const fn size(self) -> usize {
                match self { $(Self::$name => $bytes,)* }
            }

            const fn stored(self) -> Dtype {
                match self { $(Self::$name => Dtype::$name,)* }
            }

            const fn from_stored(dtype: Dtype) -> Option<Self> {
                match dtype { $(Dtype::$name => Some(Self::$name),)* _ => None }
            }
        }

        impl fmt::Display for ArrayType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => stringify!($name),)* })
            }
        }
    };
}

array_types! {
    BOOL, 1, "One byte, 0 or 1.";
    U8, 1, "Unsigned, 8 bits.";
    I8, 1, "Signed, 8 bits.";
    I16, 2, "Signed, 16 bits.";
    F16, 2, "IEEE half precision.";
    BF16, 2, "The upper half of a float32.";
    I32, 4, "Signed, 32 bits.";
    F32, 4, "IEEE single precision.";
    I64, 8, "Signed, 64 bits.";
    F64, 8, "IEEE double precision.";
}

/// An array with its name: row-major, little-endian, dense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedArray {
    /// The name, for weights the PyTorch one.
    pub name: String,
    /// The elements' type.
    pub dtype: ArrayType,
    /// The shape; `[]` is one element.
    pub shape: Vec<usize>,
    /// The elements' bytes; as many as type and shape say.
    pub data: Vec<u8>,
}

impl NamedArray {
    /// Bytes that type and shape ask for; `None` if that is beyond counting.
    fn expected_bytes(&self) -> Option<usize> {
        self.shape.iter().try_fold(self.dtype.size(), |n, &d| n.checked_mul(d))
    }

    /// How many of its numbers are NaN, and how many are infinite; none of whole numbers are.
    pub fn not_finite(&self) -> (usize, usize) {
        match self.dtype {
            ArrayType::F16 => self.not_numbers::<2>(0x7c00, 0x03ff),
            ArrayType::BF16 => self.not_numbers::<2>(0x7f80, 0x007f),
            ArrayType::F32 => self.not_numbers::<4>(0x7f80_0000, 0x007f_ffff),
            ArrayType::F64 => self.not_numbers::<8>(0x7ff0_0000_0000_0000, 0x000f_ffff_ffff_ffff),
            ArrayType::BOOL | ArrayType::U8 | ArrayType::I8 | ArrayType::I16 | ArrayType::I32 | ArrayType::I64 => {
                (0, 0)
            }
        }
    }

    /// By IEEE's layout: all bits of the exponent set, and of the fraction some (NaN) or none (infinity).
    fn not_numbers<const N: usize>(&self, exponent: u64, fraction: u64) -> (usize, usize) {
        self.data.chunks_exact(N).fold((0, 0), |(nan, infinite), number| {
            let bits = number.iter().rev().fold(0, |bits: u64, &byte| bits << 8 | u64::from(byte));
            match (bits & exponent == exponent, bits & fraction) {
                (false, _) => (nan, infinite),
                (true, 0) => (nan, infinite + 1),
                (true, _) => (nan + 1, infinite),
            }
        })
    }
}

/// Writes arrays and metadata as a safetensors file, whole or not at all. The same arguments give the same bytes.
pub fn write_arrays(path: &Path, arrays: &[NamedArray], metadata: &Metadata) -> Result<(), RunError> {
    let file = prepare(path, arrays, metadata)?;
    write::replace_with(path, |out| file.write(out))
}

/// The bytes of a safetensors file. `path` is where it will be, for messages.
pub fn encode_arrays(path: &Path, arrays: &[NamedArray], metadata: &Metadata) -> Result<Vec<u8>, RunError> {
    let mut bytes = Vec::new();
    prepare(path, arrays, metadata)?.write(&mut bytes).map_err(RunError::io("write", path))?;
    Ok(bytes)
}

/// A safetensors file ready to be written.
pub(super) struct Prepared<'a> {
    header: Vec<u8>,
    arrays: Vec<&'a NamedArray>,
}

impl Prepared<'_> {
    pub(super) fn write(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(&self.header)?;
        self.arrays.iter().try_for_each(|a| out.write_all(&a.data))
    }
}

/// Checks the arrays and lays them out as the safetensors crate does: widest type first, so that all are aligned,
/// then by name.
pub(super) fn prepare<'a>(
    path: &Path,
    arrays: &'a [NamedArray],
    metadata: &Metadata,
) -> Result<Prepared<'a>, RunError> {
    let unwritable = |what: String| RunError::Unwritable { path: path.to_owned(), what };
    let mut arrays: Vec<&NamedArray> = arrays.iter().collect();
    arrays.sort_by(|a, b| b.dtype.stored().cmp(&a.dtype.stored()).then_with(|| a.name.cmp(&b.name)));
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut start = 0;
    for array in &arrays {
        let NamedArray { name, dtype, shape, data } = array;
        if array.expected_bytes() != Some(data.len()) {
            return Err(unwritable(format!(
                "array `{}` is {dtype} {shape:?} but has {} bytes",
                name.shown(),
                data.len()
            )));
        }
        let end = start + data.len();
        let entry = json!({ "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, end] });
        if header.insert(name.clone(), entry).is_some() {
            return Err(unwritable(format!("two arrays are called `{}`", name.shown())));
        }
        start = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(Prepared { header, arrays })
}

/// Reads a safetensors file: its arrays by name, and its metadata.
pub fn read_arrays(path: &Path) -> Result<(Vec<NamedArray>, Metadata), RunError> {
    let bytes = files::read(path, MOST_ARRAYS).map_err(RunError::io("read", path))?;
    decode_arrays(path, &bytes)
}

/// As [`read_arrays`], of a file's bytes.
pub(super) fn decode_arrays(path: &Path, bytes: &[u8]) -> Result<(Vec<NamedArray>, Metadata), RunError> {
    let damaged = |what: String| RunError::Damaged { path: path.to_owned(), what };
    let unreadable = |e: safetensors::SafeTensorError| {
        damaged(format!("it is {} bytes long and not a whole safetensors file: {e}", bytes.len()))
    };
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let mut arrays = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let dtype = ArrayType::from_stored(view.dtype()).ok_or_else(|| {
            damaged(format!("array `{}` has elements of type {}, which no run writes", name.shown(), view.dtype()))
        })?;
        arrays.push(NamedArray {
            name: name.to_owned(),
            dtype,
            shape: view.shape().to_vec(),
            data: view.data().to_vec(),
        });
    }
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((arrays, header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()))
}
