//! A file that holds what is being tried: the readers take paths.

use std::path::PathBuf;
use std::sync::OnceLock;

/// Writes the input to this process's own file and returns its path. In memory where the system has such a folder.
pub fn file(bytes: &[u8]) -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("neuronlab-fuzz-{}", std::process::id()))
    });
    std::fs::write(path, bytes).expect("room for the input");
    path.clone()
}
