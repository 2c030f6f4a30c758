//! PowerShell as far as lines that make media use it: quotes, continued lines, arrays, hash tables,
//! variables, splatting and commands in parentheses. Nothing is run.

use crate::ImportError;

/// Nested deeper than this, a text is nobody's script.
const DEPTH_MAX: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, a number, or a bare word.
    Text(String),
    /// `$true` or `$false`.
    Bool(bool),
    /// `a, b` or `@( … )`.
    List(Vec<Value>),
    /// `@{ name = value; … }`.
    Table(Vec<(String, Value)>),
    /// `$name`, without the dollar.
    Variable(String),
    /// `@name`: the table in a variable, as parameters.
    Splat(String),
    /// `-Name` or `-Name:`.
    Parameter(String),
    /// `( … )`: a command.
    Command(Vec<Value>),
}

/// A line of the script: a command with its words, or a variable that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Where it begins, from 1.
    pub line: usize,
    /// The variable that it sets.
    pub sets: Option<String>,
    /// Its words.
    pub words: Vec<Value>,
}

/// Reads a script.
///
/// # Errors
/// [`ImportError::Syntax`] for quotes and brackets that are never closed.
pub fn parse(text: &str) -> Result<Vec<Statement>, ImportError> {
    let characters: Vec<char> = text.chars().collect();
    let mut reader = Reader { characters, at: 0, line: 1, depth: 0 };
    let mut statements = Vec::new();
    while reader.skip(true) {
        let line = reader.line;
        let mut words = reader.words(&['\n', ';', '|', '}', ')'])?;
        // What ends a statement, or a bracket that nothing opened.
        reader.next();
        let sets = match words.as_slice() {
            [Value::Variable(name), Value::Text(sign), ..] if sign == "=" => Some(name.clone()),
            _ => None,
        };
        if sets.is_some() {
            words.drain(..2);
        }
        if !words.is_empty() {
            statements.push(Statement { line, sets, words });
        }
    }
    Ok(statements)
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    line: usize,
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn after(&self) -> Option<char> {
        self.characters.get(self.at + 1).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn wrong(&self, problem: &str) -> ImportError {
        ImportError::Syntax { line: self.line, problem: problem.to_owned() }
    }

    /// Skips spaces, comments and continued line ends; line ends and semicolons too, if they mean
    /// nothing here. Whether anything is left.
    fn skip(&mut self, lines: bool) -> bool {
        while let Some(next) = self.peek() {
            let skips = match next {
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                    continue;
                }
                '`' if matches!(self.after(), Some('\n' | '\r')) => true,
                '\n' | ';' => lines,
                c => c.is_whitespace(),
            };
            if !skips {
                return true;
            }
            if next == '`' {
                self.at += 1;
                while self.peek() == Some('\r') {
                    self.at += 1;
                }
            }
            self.next();
        }
        false
    }

    /// Words up to one of `ends`, which is left there, or to the end of the text.
    fn words(&mut self, ends: &[char]) -> Result<Vec<Value>, ImportError> {
        let mut words = Vec::new();
        while self.skip(!ends.contains(&'\n')) {
            let Some(next) = self.peek().filter(|next| !ends.contains(next)) else {
                break;
            };
            if next == ',' {
                self.at += 1;
                let lines = self.skip(true);
                let value = if lines { self.value()? } else { break };
                match words.last_mut() {
                    Some(Value::List(values)) => values.push(value),
                    Some(first) => *first = Value::List(vec![first.clone(), value]),
                    None => words.push(value),
                }
                continue;
            }
            words.push(self.value()?);
        }
        Ok(words)
    }

    fn value(&mut self) -> Result<Value, ImportError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("brackets nest too deep"));
        }
        let value = match (self.peek(), self.after()) {
            (Some('\'' | '"' | '‘' | '’' | '“' | '”'), _) => Value::Text(self.quoted()?),
            (Some('@'), Some('(')) => {
                self.at += 2;
                Value::List(self.list()?)
            }
            (Some('@'), Some('{')) => {
                self.at += 2;
                Value::Table(self.table()?)
            }
            (Some('@'), Some(c)) if is_name(c) => {
                self.at += 1;
                Value::Splat(self.bare())
            }
            (Some('('), _) => {
                self.at += 1;
                self.command()?
            }
            (Some('$'), Some('(')) => {
                self.at += 2;
                self.command()?
            }
            (Some('$'), _) => {
                self.at += 1;
                self.variable()
            }
            (Some('-' | '–'), Some(c)) if c.is_alphabetic() => {
                self.at += 1;
                let name: String = self.take(|c| c.is_alphanumeric());
                if self.peek() == Some(':') {
                    self.at += 1;
                }
                Value::Parameter(name)
            }
            (Some('='), _) => {
                self.at += 1;
                Value::Text("=".into())
            }
            _ => match self.bare() {
                // A bracket that opens nothing here: passed over, so that the reader goes on.
                empty if empty.is_empty() => {
                    Value::Text(self.next().map(String::from).unwrap_or_default())
                }
                word => Value::Text(word),
            },
        };
        self.depth -= 1;
        Ok(value)
    }

    /// A command in parentheses, with what is asked of its result: `(Get-Date).AddYears(1)`.
    fn command(&mut self) -> Result<Value, ImportError> {
        let mut words = self.words(&[')'])?;
        self.close(')')?;
        while self.peek() == Some('.') && self.after().is_some_and(char::is_alphabetic) {
            words.push(Value::Text(self.bare()));
            if self.peek() == Some('(') {
                self.at += 1;
                words.extend(self.words(&[')'])?);
                self.close(')')?;
            }
        }
        Ok(Value::Command(words))
    }

    fn variable(&mut self) -> Value {
        let name = match self.peek() {
            Some('{') => {
                self.at += 1;
                let name = self.take(|c| c != '}' && c != '\n');
                self.at += usize::from(self.peek() == Some('}'));
                name
            }
            _ => self.take(|c| is_name(c) || c == ':' || c == '.'),
        };
        match name.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Variable(name),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, ImportError> {
        let mut values = Vec::new();
        for word in self.words(&[')'])? {
            match word {
                Value::List(inner) => values.extend(inner),
                other => values.push(other),
            }
        }
        self.close(')')?;
        Ok(values)
    }

    fn table(&mut self) -> Result<Vec<(String, Value)>, ImportError> {
        let mut pairs = Vec::new();
        while self.skip(true) && self.peek() != Some('}') {
            let words = self.words(&['\n', ';', '}'])?;
            match words.as_slice() {
                [Value::Text(name), Value::Text(sign), value] if sign == "=" => {
                    pairs.push((name.clone(), value.clone()));
                }
                [Value::Text(name), Value::Text(sign), rest @ ..] if sign == "=" => {
                    pairs.push((name.clone(), Value::Command(rest.to_vec())));
                }
                _ => return Err(self.wrong("a line of a hash table is not name = value")),
            }
        }
        self.close('}')?;
        Ok(pairs)
    }

    fn close(&mut self, bracket: char) -> Result<(), ImportError> {
        match self.next() {
            Some(next) if next == bracket => Ok(()),
            _ => Err(self.wrong(&format!("a {bracket} is missing"))),
        }
    }

    /// Doubled quotes stand for one; a backtick escapes in double quotes.
    fn quoted(&mut self) -> Result<String, ImportError> {
        let begun = self.line;
        let single = matches!(self.next(), Some('\'' | '‘' | '’'));
        let ends = |c: char| if single { "'‘’".contains(c) } else { "\"“”".contains(c) };
        let mut text = String::new();
        while let Some(next) = self.next() {
            if ends(next) {
                if !self.peek().is_some_and(ends) {
                    return Ok(text);
                }
                self.at += 1;
                text.push(if single { '\'' } else { '"' });
            } else if next == '`' && !single {
                match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(other) => text.push(other),
                    None => break,
                }
            } else {
                text.push(next);
            }
        }
        Err(ImportError::Syntax { line: begun, problem: "a quote is never closed".into() })
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.peek() {
            if next == '`' && self.after().is_some_and(|c| !c.is_whitespace()) {
                self.at += 1;
                word.extend(self.next());
            } else if next.is_whitespace() || ",;(){}'\"=|`".contains(next) {
                break;
            } else {
                word.push(next);
                self.at += 1;
            }
        }
        word
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(next) = self.peek().filter(|next| wanted(*next)) {
            taken.push(next);
            self.at += 1;
        }
        taken
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    fn words(script: &str) -> Vec<Value> {
        let statements = parse(script).unwrap();
        assert_eq!(statements.len(), 1, "{statements:?}");
        statements[0].words.clone()
    }

    #[test]
    fn quotes_escapes_and_continued_lines() {
        let script = "Cmd -A 'it''s' `\r\n  -B \"say `\"hi`\" \"\"you\"\"\" # no more\n";
        let parameter = |name: &str| Value::Parameter(name.into());
        assert_eq!(
            words(script),
            [text("Cmd"), parameter("A"), text("it's"), parameter("B"), text("say \"hi\" \"you\"")]
        );
    }

    #[test]
    fn arrays_tables_commands_and_variables() {
        let script =
            "Cmd a,'b', c @('d'\n 'e') @{ X = 'a=b'; Y = $true } (Get-It -Id PS100005) $v @s";
        let list = |items: &[&str]| Value::List(items.iter().map(|item| text(item)).collect());
        let table = Value::Table(vec![("X".into(), text("a=b")), ("Y".into(), Value::Bool(true))]);
        let command =
            Value::Command(vec![text("Get-It"), Value::Parameter("Id".into()), text("PS100005")]);
        let variable = Value::Variable("v".into());
        assert_eq!(
            words(script),
            [
                text("Cmd"),
                list(&["a", "b", "c"]),
                list(&["d", "e"]),
                table,
                command,
                variable,
                Value::Splat("s".into())
            ]
        );
    }

    #[test]
    fn variables_are_set_line_by_line() {
        let statements = parse("$a = 'x'\n\n$b = (Get-It); Cmd $a").unwrap();
        let sets: Vec<_> = statements.iter().map(|s| (s.line, s.sets.as_deref())).collect();
        assert_eq!(sets, [(1, Some("a")), (3, Some("b")), (3, None)]);
    }

    #[test]
    fn what_is_never_closed_is_told_with_its_line() {
        for (script, line) in [("a\nCmd 'x", 2), ("Cmd (a", 1), ("Cmd @{ a = 1", 1)] {
            let error = parse(script).unwrap_err();
            assert!(matches!(error, ImportError::Syntax { line: l, .. } if l == line), "{error}");
        }
        assert!(parse(&"(".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(script in "[ -~\\n`$@(){}'\",;#=-]{0,200}") {
            let _ = parse(&script);
        }
    }
}
