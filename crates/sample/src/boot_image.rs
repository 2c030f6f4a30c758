//! The boot image: one image with the boot files where Windows PE has them.

use crate::{
    body::{Body, PLACEHOLDER, Pattern},
    image::{Entry, Image},
    image_xml::ImageDescription,
    random::Random,
};

const DESCRIPTION: ImageDescription = ImageDescription {
    name: "Microsoft Windows PE (x64)",
    description: "A sample, not Windows PE: its boot files start no computer",
    edition: "WindowsPE",
    installation_type: "WindowsPE",
    system_root: "WINDOWS",
};

/// Placeholders, with their sizes: the boot files first (reference: boot files in a boot image),
/// then what the site injects.
const FILES: [(&str, u64); 34] = [
    ("Windows/Boot/EFI/bootmgfw.efi", 150_000),
    ("Windows/Boot/EFI/bootmgr.efi", 140_000),
    ("Windows/Boot/EFI/memtest.efi", 60_000),
    ("Windows/Boot/EFI/boot.stl", 10_000),
    ("Windows/Boot/EFI_EX/bootmgfw_EX.efi", 150_000),
    ("Windows/Boot/PXE/bootmgr.exe", 80_000),
    ("Windows/Boot/PXE/wdsmgfw.efi", 70_000),
    ("Windows/Boot/PCAT/bootmgr", 90_000),
    ("Windows/Boot/PCAT/memtest.exe", 50_000),
    ("Windows/Boot/DVD/PCAT/boot.sdi", 200_000),
    ("Windows/Boot/DVD/PCAT/BCD", 16_384),
    ("Windows/Boot/DVD/PCAT/etfsboot.com", 4_096),
    ("Windows/Boot/DVD/EFI/boot.sdi", 200_000),
    ("Windows/Boot/DVD/EFI/BCD", 16_384),
    ("Windows/Boot/Fonts/segmono_boot.ttf", 30_000),
    ("Windows/Boot/Fonts/segoen_slboot.ttf", 40_000),
    ("Windows/Boot/Fonts/segoe_slboot.ttf", 40_000),
    ("Windows/Boot/Fonts/wgl4_boot.ttf", 30_000),
    ("sms/boot/boot.sdi", 200_000),
    ("sms/bin/x64/TsBootShell.exe", 90_000),
    ("sms/bin/x64/TsmBootstrap.exe", 80_000),
    ("sms/bin/x64/TsManager.exe", 90_000),
    ("sms/bin/x64/OsdApplyOs.exe", 120_000),
    ("sms/bin/x64/wimgapi.dll", 150_000),
    ("sms/bin/x64/bootsect.exe", 40_000),
    ("sms/bin/x64/bcdboot.exe", 60_000),
    ("sms/bin/x64/bootfix.bin", 1_024),
    ("sms/bin/x64/etfsboot.com", 4_096),
    ("sms/bin/x64/efisys.bin", 60_000),
    ("sms/bin/x64/BCD-EFI-64", 16_384),
    ("Windows/System32/boot/winload.efi", 200_000),
    ("Windows/System32/boot/winload.exe", 180_000),
    ("Windows/System32/winpeshl.exe", 40_000),
    ("Windows/System32/wpeinit.exe", 40_000),
];

/// A driver for Windows PE: name, class, class GUID, hardware ID.
const DRIVERS: [(&str, &str, &str, &str); 2] = [
    ("e1dsample", "Net", "4d36e972-e325-11ce-bfc1-08002be10318", r"PCI\VEN_8086&DEV_15FB"),
    ("nvmesample", "SCSIAdapter", "4d36e97b-e325-11ce-bfc1-08002be10318", r"PCI\CC_010802"),
];

/// The one image.
pub(crate) fn images(seed: u64) -> Vec<(Image, ImageDescription)> {
    let mut image = Image::default();
    for (path, bytes) in FILES {
        let name = path.rsplit('/').next().unwrap_or_default();
        // All copies of boot.sdi are one content, as in the real thing.
        let unique = if name == "boot.sdi" { name } else { path };
        image.put(path, Entry::file(Body::generated(Pattern::Binary, seed, unique, bytes)));
    }
    let shell = "[LaunchApps]\n%SYSTEMDRIVE%\\sms\\bin\\x64\\TsBootShell.exe\n";
    image.put("Windows/System32/winpeshl.ini", Entry::file(Body::text(shell)));
    let about = format!("{}\nThis boot image starts no computer.\n", PLACEHOLDER.trim_end());
    image.put("READ ME - SAMPLE.txt", Entry::file(Body::text(&about)));
    for driver in DRIVERS {
        add_driver(&mut image, seed, driver);
    }
    for number in 0..40 {
        let name = format!("Windows/System32/pesample{number:02}.dll");
        let body = Body::generated(Pattern::Binary, seed, &name, 20_000 + number * 3_001);
        image.put(name, Entry::file(body).at(number, number, number));
    }
    vec![(image, DESCRIPTION)]
}

fn add_driver(image: &mut Image, seed: u64, driver: (&str, &str, &str, &str)) {
    let (name, class, guid, hardware) = driver;
    let inf = format!(
        "; A sample, not a driver.\n[Version]\nSignature=\"$WINDOWS NT$\"\nClass={class}\nClassGuid={{{guid}}}\n\
         Provider=%Vendor%\nDriverVer=01/15/2025,1.0.0.1\nCatalogFile={name}.cat\n\n[Manufacturer]\n\
         %Vendor%=Models,NTamd64\n\n[Models.NTamd64]\n%Device%=Install,{hardware}\n\n[Install]\n\
         CopyFiles=Files\n\n[Files]\n{name}.sys\n\n[Strings]\nVendor=\"Sample Vendor\"\nDevice=\"Sample {class} device\"\n"
    );
    let key = Random::named(seed, name).next();
    let store = format!("Windows/System32/DriverStore/FileRepository/{name}.inf_amd64_{key:016x}");
    image.put(format!("{store}/{name}.inf"), Entry::file(Body::text(&inf)));
    image.put(format!("Windows/INF/{name}.inf"), Entry::file(Body::text(&inf)));
    let sys = Body::generated(Pattern::Binary, seed, &format!("{name}.sys"), 50_000);
    let names = [format!("{store}/{name}.sys"), format!("Windows/System32/drivers/{name}.sys")];
    image.put_linked(&names, Entry::file(sys));
    let catalogue = Body::generated(Pattern::Packed, seed, &format!("{name}.cat"), 9_000);
    image.put(format!("{store}/{name}.cat"), Entry::file(catalogue));
}
