//! Prestaged media: the spec and its rules, variables, certificates, boot files, layout.
