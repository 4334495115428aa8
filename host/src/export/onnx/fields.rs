//! Numbers of the fields of ONNX's messages that a model needs (onnx.proto), and the values of its enumerations.

pub(super) mod model {
    pub(crate) const IR_VERSION: u32 = 1;
    pub(crate) const PRODUCER_NAME: u32 = 2;
    pub(crate) const PRODUCER_VERSION: u32 = 3;
    pub(crate) const DOC_STRING: u32 = 6;
    pub(crate) const GRAPH: u32 = 7;
    pub(crate) const OPSET_IMPORT: u32 = 8;
    // OperatorSetIdProto
    pub(crate) const DOMAIN: u32 = 1;
    pub(crate) const VERSION: u32 = 2;
}

pub(super) mod graph {
    pub(crate) const NODE: u32 = 1;
    pub(crate) const NAME: u32 = 2;
    pub(crate) const INITIALIZER: u32 = 5;
    pub(crate) const INPUT: u32 = 11;
    pub(crate) const OUTPUT: u32 = 12;
}

pub(super) mod node {
    pub(crate) const INPUT: u32 = 1;
    pub(crate) const OUTPUT: u32 = 2;
    pub(crate) const NAME: u32 = 3;
    pub(crate) const OP_TYPE: u32 = 4;
    pub(crate) const ATTRIBUTE: u32 = 5;
}

pub(super) mod attribute {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const F: u32 = 2;
    pub(crate) const I: u32 = 3;
    pub(crate) const S: u32 = 4;
    pub(crate) const INTS: u32 = 8;
    pub(crate) const TYPE: u32 = 20;
    // AttributeProto.AttributeType
    pub(crate) const FLOAT: u64 = 1;
    pub(crate) const INT: u64 = 2;
    pub(crate) const STRING: u64 = 3;
    pub(crate) const LIST: u64 = 7;
}

pub(super) mod tensor {
    pub(crate) const DIMS: u32 = 1;
    pub(crate) const DATA_TYPE: u32 = 2;
    pub(crate) const NAME: u32 = 8;
    pub(crate) const RAW_DATA: u32 = 9;
    // TensorProto.DataType
    pub(crate) const FLOAT: u64 = 1;
    pub(crate) const INT64: u64 = 7;
}

pub(super) mod value {
    pub(crate) const NAME: u32 = 1;
    pub(crate) const TYPE: u32 = 2;
    // TypeProto and its Tensor
    pub(crate) const TENSOR_TYPE: u32 = 1;
    pub(crate) const ELEM_TYPE: u32 = 1;
    pub(crate) const SHAPE: u32 = 2;
    // TensorShapeProto and its Dimension
    pub(crate) const DIM: u32 = 1;
    pub(crate) const DIM_VALUE: u32 = 1;
    pub(crate) const DIM_PARAM: u32 = 2;
}
