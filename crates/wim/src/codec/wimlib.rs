//! The only place with `unsafe`: a safe face over wimlib's block compressors.
//!
//! A compressor works on one chunk at a time and keeps no state between chunks, so chunks of one
//! file may be compressed on different threads and joined: the bytes are those that wimlib writes.
#![allow(unsafe_code)]

use std::{ffi::c_void, num::NonZeroUsize, ptr::NonNull};

use wimlib_sys as sys;

use super::{Codec, Format};
use crate::error::WimError;

fn wimlib_type(format: Format) -> sys::wimlib_compression_type {
    match format {
        Format::Xpress => sys::wimlib_compression_type_WIMLIB_COMPRESSION_TYPE_XPRESS,
        Format::Lzx => sys::wimlib_compression_type_WIMLIB_COMPRESSION_TYPE_LZX,
        Format::Lzms => sys::wimlib_compression_type_WIMLIB_COMPRESSION_TYPE_LZMS,
    }
}

/// One compressor: about 1 MiB of memory at the fast levels, 6 MiB at the thorough ones.
pub struct Compressor(NonNull<sys::wimlib_compressor>);

// SAFETY: a wimlib compressor is a plain heap object without thread affinity, and `compress`
// takes `&mut self`, so that no two threads use it at once.
unsafe impl Send for Compressor {}

impl Compressor {
    /// A compressor for chunks of at most `codec.chunk_bytes`.
    pub fn new(codec: Codec) -> Result<Self, WimError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a valid place for the result; the other arguments are plain values.
        let code = unsafe {
            sys::wimlib_create_compressor(
                wimlib_type(codec.format),
                codec.chunk_bytes as usize,
                codec.level,
                &mut raw,
            )
        };
        NonNull::new(raw)
            .filter(|_| code == 0)
            .map(Self)
            .ok_or(WimError::Codec { what: "create a compressor", code: code as i32 })
    }

    /// Compresses `chunk` into `out`. `None` when it doesn't fit there: then it is stored as it is.
    pub fn compress(&mut self, chunk: &[u8], out: &mut [u8]) -> Option<NonZeroUsize> {
        // SAFETY: both slices are valid for their lengths and do not overlap (one is `&mut`).
        let stored = unsafe {
            sys::wimlib_compress(
                chunk.as_ptr().cast::<c_void>(),
                chunk.len(),
                out.as_mut_ptr().cast::<c_void>(),
                out.len(),
                self.0.as_ptr(),
            )
        };
        NonZeroUsize::new(stored)
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the pointer came from wimlib_create_compressor and is freed once.
        unsafe { sys::wimlib_free_compressor(self.0.as_ptr()) }
    }
}

/// One decompressor.
pub struct Decompressor(NonNull<sys::wimlib_decompressor>);

// SAFETY: as for `Compressor`.
unsafe impl Send for Decompressor {}

impl Decompressor {
    /// A decompressor for chunks of at most `chunk_bytes`.
    pub fn new(format: Format, chunk_bytes: u32) -> Result<Self, WimError> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a valid place for the result.
        let code = unsafe {
            sys::wimlib_create_decompressor(wimlib_type(format), chunk_bytes as usize, &mut raw)
        };
        NonNull::new(raw)
            .filter(|_| code == 0)
            .map(Self)
            .ok_or(WimError::Codec { what: "create a decompressor", code: code as i32 })
    }

    /// Decompresses one chunk, which must fill `out` exactly.
    pub fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(), WimError> {
        // SAFETY: both slices are valid for their lengths and do not overlap.
        let code = unsafe {
            sys::wimlib_decompress(
                stored.as_ptr().cast::<c_void>(),
                stored.len(),
                out.as_mut_ptr().cast::<c_void>(),
                out.len(),
                self.0.as_ptr(),
            )
        };
        if code == 0 { Ok(()) } else { Err(WimError::Codec { what: "decompress a chunk", code }) }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: the pointer came from wimlib_create_decompressor and is freed once.
        unsafe { sys::wimlib_free_decompressor(self.0.as_ptr()) }
    }
}
