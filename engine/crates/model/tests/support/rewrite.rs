//! A model file with some of its metadata or tensors changed.

use std::fs::File;
use std::path::{Path, PathBuf};

use gguf::{Gguf, Value, Writer};

/// What is to be changed.
#[derive(Default)]
pub struct Change<'a> {
    /// Keys that get another value, or are added.
    pub set: Vec<(&'a str, Value)>,
    /// Keys left out.
    pub drop: Vec<&'a str>,
    /// Tensors that get another name.
    pub rename: Vec<(&'a str, &'a str)>,
    /// Tensors left out.
    pub without: Vec<&'a str>,
}

/// Writes the changed copy to the folder of temporary files and returns its path. `label` keeps tests apart.
pub fn rewrite(gguf: &Path, label: &str, change: &Change<'_>) -> PathBuf {
    let source = Gguf::open(gguf).unwrap();
    let path = std::env::temp_dir().join(format!("neuronlab-model-{}-{label}.gguf", std::process::id()));
    let mut writer = Writer::new(&path);
    for (key, value) in source.metadata.iter() {
        if !change.drop.contains(&key) && !change.set.iter().any(|(set, _)| *set == key) {
            writer.metadata(key, value.clone()).unwrap();
        }
    }
    for (key, value) in &change.set {
        writer.metadata(key, value.clone()).unwrap();
    }
    let kept: Vec<_> = source
        .tensors
        .iter()
        .filter(|tensor| !change.without.contains(&tensor.name.as_str()))
        .collect();
    let name = |name: &str| {
        let renamed = change.rename.iter().find(|(from, _)| *from == name);
        renamed.map_or(name, |(_, to)| to).to_owned()
    };
    for tensor in &kept {
        writer.tensor(&name(&tensor.name), &tensor.shape, tensor.kind).unwrap();
    }
    let (mut data, file) = (writer.start().unwrap(), File::open(gguf).unwrap());
    for tensor in &kept {
        let mut bytes = vec![0; tensor.bytes as usize];
        tensor.read_at(&file, 0, &mut bytes).unwrap();
        data.write(&name(&tensor.name), &bytes).unwrap();
    }
    data.finish().unwrap();
    path
}
