//! A GGUF encoder that believes whatever it is told: lying files are made with it. Written from the format's description, apart
//! from the crate's own writer, so that the two check each other.

#[derive(Clone, Default)]
pub struct Raw(pub Vec<u8>);

impl Raw {
    /// Magic, version, tensor count, key count.
    pub fn header(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }
    pub fn u8(mut self, v: u8) -> Self {
        self.0.push(v);
        self
    }
    pub fn u32(self, v: u32) -> Self {
        self.bytes(&v.to_le_bytes())
    }
    pub fn u64(self, v: u64) -> Self {
        self.bytes(&v.to_le_bytes())
    }
    pub fn f32(self, v: f32) -> Self {
        self.bytes(&v.to_le_bytes())
    }
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    pub fn str(self, text: &str) -> Self {
        self.u64(text.len() as u64).bytes(text.as_bytes())
    }
    /// A key and its type code; the value follows.
    pub fn key(self, key: &str, code: u32) -> Self {
        self.str(key).u32(code)
    }
    pub fn tensor(self, name: &str, shape: &[u64], code: u32, offset: u64) -> Self {
        let named = self.str(name).u32(shape.len() as u32);
        shape.iter().fold(named, |raw, &size| raw.u64(size)).u32(code).u64(offset)
    }
    /// Zeros up to a multiple of `alignment`.
    pub fn pad(mut self, alignment: usize) -> Self {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self
    }
    pub fn zeros(mut self, count: usize) -> Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }
}
