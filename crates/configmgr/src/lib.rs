//! The Configuration Manager site: what it says and where content lies.
