//! Fields of `Event` and what is in it, and the values of its enumerations (event.proto, summary.proto, tensor.proto).

pub(super) const WALL_TIME: u32 = 1;
pub(super) const STEP: u32 = 2;
pub(super) const FILE_VERSION: u32 = 3;
pub(super) const SUMMARY: u32 = 5;
pub(super) const SESSION_LOG: u32 = 7;
// SessionLog
pub(super) const STATUS: u32 = 1;
pub(super) const START: u64 = 1;
// Summary and its Value
pub(super) const VALUE: u32 = 1;
pub(super) const TAG: u32 = 1;
pub(super) const SIMPLE_VALUE: u32 = 2;
pub(super) const IMAGE: u32 = 4;
pub(super) const TENSOR: u32 = 8;
pub(super) const METADATA: u32 = 9;
// Image
pub(super) const HEIGHT: u32 = 1;
pub(super) const WIDTH: u32 = 2;
pub(super) const COLORSPACE: u32 = 3;
pub(super) const RGB: u64 = 3;
pub(super) const ENCODED: u32 = 4;
// TensorProto
pub(super) const DTYPE: u32 = 1;
pub(super) const STRING: u64 = 7;
pub(super) const SHAPE: u32 = 2;
pub(super) const STRING_VALUE: u32 = 8;
// SummaryMetadata
pub(super) const PLUGIN_DATA: u32 = 1;
pub(super) const PLUGIN_NAME: u32 = 1;
pub(super) const DESCRIPTION: u32 = 3;
pub(super) const DATA_CLASS: u32 = 4;
pub(super) const CLASS_TENSOR: u64 = 2;
