//! Protobuf's wire format, as far as TensorBoard's events and ONNX's models need it. Which fields there are is theirs.

/// A message that is being written. Fields come out in the order in which they go in.
#[derive(Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

/// How a field's value is laid out.
const VARINT: u32 = 0;
const EIGHT_BYTES: u32 = 1;
const DELIMITED: u32 = 2;
const FOUR_BYTES: u32 = 5;

impl Message {
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// The fields of another message of the same kind.
    pub(crate) fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
    }

    pub(crate) fn integer(&mut self, field: u32, value: u64) {
        self.key(field, VARINT);
        self.varint(value);
    }

    pub(crate) fn double(&mut self, field: u32, value: f64) {
        self.key(field, EIGHT_BYTES);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn float(&mut self, field: u32, value: f32) {
        self.key(field, FOUR_BYTES);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, DELIMITED);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
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
