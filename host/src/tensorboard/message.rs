//! Protobuf's wire format as far as events need it, and the numbers of their fields.

/// A message that is being written. Fields come out in the order in which they go in.
#[derive(Debug, Default)]
pub(super) struct Message {
    bytes: Vec<u8>,
}

/// How a field's value is laid out.
const VARINT: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const DELIMITED: u32 = 2;
const FOUR_BYTES: u32 = 5;

impl Message {
    pub(super) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn integer(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    pub(super) fn double(&mut self, field: u32, value: f64) {
        self.key(field, EIGHT_BYTES);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn float(&mut self, field: u32, value: f32) {
        self.key(field, FOUR_BYTES);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, DELIMITED);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.bytes);
    }

    fn key(&mut self, field: u32, layout: u32) {
        self.varint(u64::from(field << 3 | layout));
    }

    /// Seven bits a byte, lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Fields of `Event` and what is in it, and the values of its enumerations (event.proto, summary.proto, tensor.proto).
pub(super) mod event {
    pub(crate) const WALL_TIME: u32 = 1;
    pub(crate) const STEP: u32 = 2;
    pub(crate) const FILE_VERSION: u32 = 3;
    pub(crate) const SUMMARY: u32 = 5;
    pub(crate) const SESSION_LOG: u32 = 7;
    // SessionLog
    pub(crate) const STATUS: u32 = 1;
    pub(crate) const START: u64 = 1;
    // Summary and its Value
    pub(crate) const VALUE: u32 = 1;
    pub(crate) const TAG: u32 = 1;
    pub(crate) const SIMPLE_VALUE: u32 = 2;
    pub(crate) const IMAGE: u32 = 4;
    pub(crate) const TENSOR: u32 = 8;
    pub(crate) const METADATA: u32 = 9;
    // Image
    pub(crate) const HEIGHT: u32 = 1;
    pub(crate) const WIDTH: u32 = 2;
    pub(crate) const COLORSPACE: u32 = 3;
    pub(crate) const RGB: u64 = 3;
    pub(crate) const ENCODED: u32 = 4;
    // TensorProto
    pub(crate) const DTYPE: u32 = 1;
    pub(crate) const STRING: u64 = 7;
    pub(crate) const SHAPE: u32 = 2;
    pub(crate) const STRING_VALUE: u32 = 8;
    // SummaryMetadata
    pub(crate) const PLUGIN_DATA: u32 = 1;
    pub(crate) const PLUGIN_NAME: u32 = 1;
    pub(crate) const DATA_CLASS: u32 = 4;
    pub(crate) const CLASS_TENSOR: u64 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of protobuf's encoding guide.
    #[test]
    fn fields_are_protobufs() {
        let mut message = Message::default();
        message.integer(1, 150);
        message.text(2, "testing");
        message.message(3, |m| m.integer(1, 150));
        let expected = [&[0x08, 0x96, 0x01, 0x12, 0x07][..], b"testing", &[0x1a, 0x03, 0x08, 0x96, 0x01]].concat();
        assert_eq!(message.encoded(), expected);
        let mut message = Message::default();
        message.double(1, 1.0);
        message.float(16, 1.0);
        assert_eq!(message.encoded(), [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x85, 0x01, 0, 0, 0x80, 0x3f]);
    }
}
