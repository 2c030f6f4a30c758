//! `Variables.dat`.

use super::{Row, nested, text};

pub(super) const BOMBS: &[Row] = &[
    ("variables_text", "elements in elements", 100_000, |n| {
        nested("", "<var name=\"a\">", n, "</var>", "")
    }),
    ("variables_text", "variables", 6_000, |n| {
        text("<MediaVarList>", n, |n| format!("<var name=\"v{n}\"/>"), "</MediaVarList>")
    }),
    ("variables_text", "a variable again and again", 6_000, |n| {
        text("<MediaVarList>", n, |_| "<var name=\"a\">b</var>".into(), "</MediaVarList>")
    }),
    ("variables_text", "attributes of a variable", 12_000, |n| {
        text("<MediaVarList><var", n, |n| format!(" a{n}=\"\""), " name=\"a\"/></MediaVarList>")
    }),
    ("variables_text", "brackets, which CDATA can't hold", 8_000, |n| {
        text("<MediaVarList><var name=\"a\">", n, |_| "]]&gt;&#13;".into(), "</var></MediaVarList>")
    }),
    ("variables_text", "entities of entities", 1000, |n| {
        let entity = |n| format!("<!ENTITY e{} \"&e{n};&e{n};\">", n + 1);
        text("<!DOCTYPE a [<!ENTITY e0 \"boom\">", n, entity, "]><var name=\"a\">&e9;</var>")
    }),
    ("variables_file", "a length that is only claimed", 16, |n| {
        header(u32::MAX - n as u32, u32::MAX, n)
    }),
    ("variables_file", "noise of all that is read", 1 << 20, |n| {
        let length = (n & !15) as u32;
        header(length - 1, length, length as usize)
    }),
];

fn header(plain: u32, cipher: u32, there: usize) -> Vec<u8> {
    let mut file = vec![0, 0, 0xed, 0xec];
    for field in [0x14, plain, cipher, 0x660e, 0] {
        file.extend(field.to_le_bytes());
    }
    file.resize(24 + there, 0x5a);
    file
}
