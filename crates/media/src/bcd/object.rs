//! One boot object: its type and its elements (reference: BCD hive).

use super::hive::{Key, Value};

/// A boot object while it is put together. Element numbers say by their high digits what kind of
/// value they have; the methods here write the registry form of each kind.
pub(super) struct Object {
    name: &'static str,
    kind: u32,
    elements: Key,
}

impl Object {
    pub(super) fn new(name: &'static str, kind: u32) -> Self {
        Self { name, kind, elements: Key::new("Elements") }
    }

    pub(super) fn device(self, element: u32, bytes: Vec<u8>) -> Self {
        self.element(element, Value::binary("Element", bytes))
    }

    pub(super) fn text(self, element: u32, text: &str) -> Self {
        self.element(element, Value::text("Element", text))
    }

    /// A reference to another object.
    pub(super) fn object(self, element: u32, name: &str) -> Self {
        self.text(element, name)
    }

    pub(super) fn object_list(self, element: u32, names: &[&str]) -> Self {
        self.element(element, Value::text_list("Element", names))
    }

    pub(super) fn integer(self, element: u32, number: u64) -> Self {
        self.element(element, Value::binary("Element", number.to_le_bytes().to_vec()))
    }

    pub(super) fn boolean(self, element: u32, yes: bool) -> Self {
        self.element(element, Value::binary("Element", vec![u8::from(yes)]))
    }

    fn element(mut self, element: u32, value: Value) -> Self {
        self.elements =
            self.elements.with_key(Key::new(format!("{element:08x}")).with_value(value));
        self
    }

    /// `{guid}` with `Description\Type` and `Elements\<number>\Element`.
    pub(super) fn into_key(self) -> Key {
        Key::new(self.name)
            .with_key(Key::new("Description").with_value(Value::number("Type", self.kind)))
            .with_key(self.elements)
    }
}
