//! Encoding the files of a content into a pack. Blocking.

use std::collections::BTreeMap;

use prestage_proto::v1;
use prestage_store::pack::{
    FinishedPack, PackContents, PackFacts, PackReadError, PackWriteError, ResourceEntry,
};
use prestage_wim::{
    WimError,
    codec::{Codec, EncodedFile, FileToEncode, Format},
};

use super::{
    Tools,
    content::{self, SourceProblem, sha256_of},
    error::TaskError,
    sink::PackSink,
};

/// A pack on disk with its contents, ready to be published.
pub struct MadePack {
    /// The pack.
    pub pack: FinishedPack,
    /// What is in it.
    pub contents: PackContents,
    /// Bytes of content that were read.
    pub bytes_read: u64,
}

/// Encodes a task's files from the first source that has them right.
pub fn encode(task: &v1::EncodeTask, tools: &Tools) -> Result<MadePack, TaskError> {
    let codec = codec_of(task.codec)?;
    content::from_first_good(&task.content_id, &task.sources, tools, |source| {
        let files = task.files.iter().map(|file| content::to_encode(source, file, tools));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let content = task.files.iter().map(|file| file.size).sum();
        let mut sink = PackSink::new(tools.pack_writer(content)?);
        let resources = encode_listed(&task.files, &files, codec, &mut sink, tools)?;
        finish(sink, resources, facts(&task.content_id, codec))
    })
}

/// Encodes listed files into `sink`, each checked against its SHA-256.
pub fn encode_listed(
    listed: &[v1::ListedFile],
    files: &[FileToEncode],
    codec: Codec,
    sink: &mut PackSink,
    tools: &Tools,
) -> Result<Vec<ResourceEntry>, SourceProblem> {
    let (encoder, _memory) = tools.encoder(codec)?;
    let encoded = encoder
        .encode(files, sink, &tools.progress)
        .map_err(|(number, error)| encode_problem(listed.get(number), error, tools))?;
    let mut resources = Vec::with_capacity(encoded.len());
    for (file, encoded) in listed.iter().zip(encoded) {
        if sha256_of(file)? != encoded.sha256 {
            return Err(content::wrong_hash(file, &encoded.sha256));
        }
        resources.push(resource(&encoded));
    }
    Ok(resources)
}

/// What an encoded file is in a pack's index.
pub fn resource(file: &EncodedFile) -> ResourceEntry {
    ResourceEntry {
        sha1: file.sha1.0,
        sha256: Some(file.sha256),
        offset: file.offset,
        stored_bytes: file.stored_bytes,
        original_bytes: file.original_bytes,
        compressed: file.compressed,
    }
}

/// Closes a pack.
pub fn finish(
    sink: PackSink,
    resources: Vec<ResourceEntry>,
    facts: PackFacts,
) -> Result<MadePack, SourceProblem> {
    let pack = sink.into_writer().finish().map_err(TaskError::from)?;
    let bytes_read = resources.iter().map(|resource| resource.original_bytes).sum();
    let contents = PackContents {
        pack_bytes: pack.bytes(),
        chunk_digests: pack.chunk_digests().to_vec(),
        resources,
        facts,
        ..PackContents::default()
    };
    Ok(MadePack { pack, contents, bytes_read })
}

/// What a pack says of itself.
pub fn facts(content_id: &str, codec: Codec) -> PackFacts {
    let format = codec.format.to_string().to_ascii_lowercase();
    PackFacts {
        content_id: content_id.to_owned(),
        codec: format!("{format} {} {}", codec.chunk_bytes, codec.level),
        versions: BTreeMap::from([("wimlib".to_owned(), "1.14.4".to_owned())]),
    }
}

/// The codec of a task message.
pub fn codec_of(codec: Option<v1::Codec>) -> Result<Codec, TaskError> {
    let codec = codec.ok_or_else(|| TaskError::BadTask("it names no codec".into()))?;
    let format = match codec.format() {
        v1::codec::Format::Lzx => Format::Lzx,
        v1::codec::Format::Xpress => Format::Xpress,
        v1::codec::Format::Unspecified => {
            return Err(TaskError::BadTask("it names no compression format".into()));
        }
    };
    Ok(Codec { format, chunk_bytes: codec.chunk_bytes, level: codec.level })
}

/// Whose fault it is that a file could not be encoded: the source's, the disk's, or nobody's.
pub fn encode_problem(
    file: Option<&v1::ListedFile>,
    error: WimError,
    tools: &Tools,
) -> SourceProblem {
    let Some(file) = file else {
        return TaskError::wim("")(error).into();
    };
    if tools.is_cancelled() {
        return TaskError::Cancelled.into();
    }
    match error {
        WimError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            SourceProblem::WrongContent(format!("'{}': {error}", file.path))
        }
        WimError::Io(error) => match error.downcast::<PackWriteError>() {
            Ok(error) => TaskError::from(error).into(),
            Err(error) => match error.downcast::<PackReadError>() {
                Ok(error) => TaskError::from(error).into(),
                Err(error) => SourceProblem::unreadable(&format!("'{}'", file.path), error),
            },
        },
        error => TaskError::wim(file.path.clone())(error).into(),
    }
}
