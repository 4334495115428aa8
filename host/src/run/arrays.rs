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
use crate::text::Show as _;

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
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
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
    let damaged = |what: String| RunError::Damaged { path: path.to_owned(), what };
    let bytes = std::fs::read(path).map_err(RunError::io("read", path))?;
    let unreadable = |e: safetensors::SafeTensorError| {
        damaged(format!("it is {} bytes long and not a whole safetensors file: {e}", bytes.len()))
    };
    let file = SafeTensors::deserialize(&bytes).map_err(unreadable)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(unreadable)?;
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
