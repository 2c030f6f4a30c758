//! What a build asks of the site.

use serde::{Deserialize, Serialize};

/// The part of a media spec that names content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRequest {
    /// Package ID of the task sequence.
    pub task_sequence: String,
    /// Package ID of the boot image.
    pub boot_image: String,
    /// Package ID of the OS image.
    pub os_image_package: String,
    /// Model names of applications besides what the task sequence references.
    pub applications: Vec<String>,
    /// Package IDs of packages besides what the task sequence references.
    pub packages: Vec<String>,
    /// Package IDs of driver packages besides what the task sequence references.
    pub driver_packages: Vec<String>,
    /// Package ID of the prestart command's package.
    pub prestart_package: Option<String>,
    /// Whether what applications depend on is carried too.
    pub detect_application_dependencies: bool,
    /// Names of distribution points, the preferred first.
    pub distribution_points: Vec<String>,
    /// A package hash that differs is a problem, not a warning.
    pub strict_package_hash: bool,
}
