//! temporary
#[derive(Debug, thiserror::Error)]
#[error("image")]
pub struct ImageError;
pub struct Series { pub name: String, pub points: Vec<(f64, f64)> }
pub fn encode_grid(_i: &[f32], _s: [usize; 4], _c: usize, _k: usize) -> Result<Vec<u8>, ImageError> { Ok(vec![]) }
pub fn encode_curves(_t: &str, _s: &[Series]) -> Result<Vec<u8>, ImageError> { Ok(vec![]) }
