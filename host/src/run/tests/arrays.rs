//! Arrays come back as they were, in the same bytes each time, and no file can do harm.

use proptest::{prelude::*, strategy::Strategy};

use super::*;

fn metadata() -> Metadata {
    (0..20).map(|i| (format!("key{i}"), format!("value {i} \"é\"\n"))).collect()
}

fn arrays() -> Vec<NamedArray> {
    let scalar = NamedArray { name: "step".into(), dtype: ArrayType::I64, shape: vec![], data: vec![7; 8] };
    let empty = NamedArray { name: "none".into(), dtype: ArrayType::F64, shape: vec![0, 3], data: vec![] };
    let half = NamedArray { name: "half".into(), dtype: ArrayType::BF16, shape: vec![1, 2], data: vec![1, 2, 3, 4] };
    vec![array("w", &[1.0, -2.0]), scalar, empty, half, array("a", &[3.0])]
}

#[test]
fn arrays_come_back_as_they_were() {
    let place = Place::new();
    let path = place.0.path().join("x.safetensors");
    write_arrays(&path, &arrays(), &metadata()).unwrap();
    let (read, found) = read_arrays(&path).unwrap();
    let mut expected = arrays();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(read, expected);
    assert_eq!(found, metadata());
}

#[test]
fn the_same_arrays_are_the_same_bytes_in_any_order() {
    let place = Place::new();
    let path = place.0.path().join("x.safetensors");
    let write = |arrays: &[NamedArray]| {
        write_arrays(&path, arrays, &metadata()).unwrap();
        fs::read(&path).unwrap()
    };
    let mut reversed = arrays();
    reversed.reverse();
    assert_eq!(write(&arrays()), write(&reversed));
}

#[test]
fn the_file_is_laid_out_as_the_safetensors_crate_does() {
    let place = Place::new();
    let path = place.0.path().join("x.safetensors");
    write_arrays(&path, &arrays(), &[("step".to_owned(), "7".to_owned())].into()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let metadata = [("step".to_owned(), "7".to_owned())].into();
    assert_eq!(safetensors::serialize(file.tensors(), Some(metadata)).unwrap(), bytes);
}

#[test]
fn arrays_that_contradict_themselves_are_not_written() {
    let place = Place::new();
    let path = place.0.path().join("x.safetensors");
    let refusal = |arrays: &[NamedArray]| place.tidy(&write_arrays(&path, arrays, &Metadata::new()).unwrap_err());
    let short = NamedArray { shape: vec![3], ..array("w", &[1.0, 2.0]) };
    insta::assert_snapshot!(refusal(&[short]), @"cannot write DIR/x.safetensors: array `w` is F32 [3] but has 8 bytes");
    let endless = NamedArray { shape: vec![usize::MAX, 2], ..array("w", &[1.0]) };
    insta::assert_snapshot!(refusal(&[endless]), @"cannot write DIR/x.safetensors: array `w` is F32 [18446744073709551615, 2] but has 4 bytes");
    insta::assert_snapshot!(refusal(&[array("w", &[1.0]), array("w", &[1.0])]), @"cannot write DIR/x.safetensors: two arrays are called `w`");
    assert!(!path.exists());
}

#[test]
fn damaged_files_are_named_with_what_is_wrong() {
    let place = Place::new();
    let path = place.0.path().join("x.safetensors");
    write_arrays(&path, &arrays(), &metadata()).unwrap();
    let whole = fs::read(&path).unwrap();
    let refusal = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        place.tidy(&read_arrays(&path).unwrap_err())
    };
    let with_header = |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    insta::assert_snapshot!(refusal(b""), @"DIR/x.safetensors is damaged: it is 0 bytes long and not a whole safetensors file: header too small");
    insta::assert_snapshot!(refusal(&whole[..whole.len() - 1]), @"DIR/x.safetensors is damaged: it is 879 bytes long and not a whole safetensors file: incomplete metadata, file not fully covered");
    insta::assert_snapshot!(refusal(&whole[..100]), @"DIR/x.safetensors is damaged: it is 100 bytes long and not a whole safetensors file: invalid header length");
    insta::assert_snapshot!(refusal(&[0xff; 64]), @"DIR/x.safetensors is damaged: it is 64 bytes long and not a whole safetensors file: header too large");
    insta::assert_snapshot!(refusal(&with_header("{\"w\": 3}")), @"DIR/x.safetensors is damaged: it is 16 bytes long and not a whole safetensors file: invalid JSON in header: invalid type: integer `3`, expected struct TensorInfo at line 1 column 8");
    let strange = r#"{"w":{"dtype":"F8_E5M2","shape":[0],"data_offsets":[0,0]}}"#;
    insta::assert_snapshot!(refusal(&with_header(strange)), @"DIR/x.safetensors is damaged: array `w` has elements of type F8_E5M2, which no run writes");
    let gone = read_arrays(&place.0.path().join("gone")).unwrap_err();
    insta::assert_snapshot!(place.tidy(&gone), @"cannot read DIR/gone: No such file or directory (os error 2)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_file_brings_the_reader_down(cut in 0_usize..2000, flips in prop::collection::vec((0_usize..2000, any::<u8>()), 0..8)) {
        let place = Place::new();
        let path = place.0.path().join("x.safetensors");
        write_arrays(&path, &arrays(), &metadata()).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut));
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        fs::write(&path, &bytes).unwrap();
        // Either is right; a panic is not.
        let _ = read_arrays(&path);
    }

    #[test]
    fn any_names_and_shapes_come_back(
        shapes in prop::collection::btree_map(".{0,12}".prop_filter("reserved", |n| n != "__metadata__"), prop::collection::vec(0_usize..4, 0..4), 0..6)
    ) {
        let arrays: Vec<NamedArray> = shapes
            .into_iter()
            .map(|(name, shape)| {
                let data = vec![9; shape.iter().product::<usize>() * 2];
                NamedArray { name, dtype: ArrayType::F16, shape, data }
            })
            .collect();
        let place = Place::new();
        let path = place.0.path().join("x.safetensors");
        write_arrays(&path, &arrays, &Metadata::new()).unwrap();
        prop_assert_eq!(read_arrays(&path).unwrap().0, arrays);
    }
}
