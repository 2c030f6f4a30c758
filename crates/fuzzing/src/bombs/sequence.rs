//! Task sequences.

use super::{Row, nested, text};

const STEP: &str = "<sequence><step type=\"SMS_TaskSequence_InstallSoftwareAction\">";
const END: &str = "</step></sequence>";

pub(super) const BOMBS: &[Row] = &[
    ("task_sequence", "groups in groups", 100_000, |n| {
        nested("<sequence>", "<group name=\"g\">", n, "</group>", "</sequence>")
    }),
    ("task_sequence", "groups in groups, as deep as they may be, again and again", 400, |n| {
        let (open, close) = ("<group name=\"g\">".repeat(120), "</group>".repeat(120));
        text("<sequence>", n, |_| format!("{open}<step/>{close}"), "</sequence>")
    }),
    ("task_sequence", "steps in a group whose condition is long", 8_000, |n| {
        let condition = "<operator type=\"and\"><expression type=\"SMS_TaskSequence_WMIConditionExpression\"/></operator>";
        let group = format!("<sequence><group><condition>{}</condition>", condition.repeat(n / 4));
        text(&group, n, |_| "<step/>".into(), "</group></sequence>")
    }),
    ("task_sequence", "switches of one command", 40_000, |n| {
        let before = format!("{STEP}<action>smsswd.exe");
        text(&before, n, |n| format!(" /app:{n}"), &format!("</action>{END}"))
    }),
    ("task_sequence", "switches with packages", 40_000, |n| {
        let before = format!("{STEP}<action>osdupgradewindows.exe");
        text(&before, n, |n| format!(" /package:PS1{n:05X}"), &format!("</action>{END}"))
    }),
    ("task_sequence", "quotes that are never closed", 200_000, |n| {
        let before = format!("{STEP}<action>smsswd.exe /run:");
        text(&before, n, |_| "\" \\\"".into(), &format!("</action>{END}"))
    }),
    ("task_sequence", "variables of a step with a long type", 20_000, |n| {
        let step = format!("<sequence><step type=\"{}\"><defaultVarList>", "x".repeat(n * 10));
        let variable = |n| format!("<variable name=\"v{n}PackageID\">%a{n}%</variable>");
        text(&step, n, variable, &format!("</defaultVarList>{END}"))
    }),
    ("task_sequence", "a variable with a long name and many values", 20_000, |n| {
        let name = "x".repeat(n * 4) + "PackageID";
        let before = format!("{STEP}<defaultVarList><variable name=\"{name}\">");
        text(&before, n, |n| format!("%a{n}%,"), &format!("</variable></defaultVarList>{END}"))
    }),
    ("task_sequence", "lists of variables", 20_000, |n| {
        let list = |n| {
            format!(
                "<defaultVarList><variable name=\"PackageID\">PS1{n:05X}</variable></defaultVarList>"
            )
        };
        text(STEP, n, list, END)
    }),
    ("task_sequence", "lists of references in lists of references", 30_000, |n| {
        let (open, close) = ("<referenceList>".repeat(100), "</referenceList>".repeat(100));
        let reference = |n| format!("<reference package=\"PS1{n:05X}\"/>");
        text(&format!("<sequence>{open}"), n, reference, &format!("{close}</sequence>"))
    }),
    ("task_sequence", "a document escaped as a whole", 50_000, |n| {
        text("&lt;sequence&gt;", n, |_| "&lt;step/&gt;".into(), "&lt;/sequence&gt;")
    }),
    ("task_sequence", "sequences in sequences", 30_000, |n| {
        let (open, close) = ("<sequence>".repeat(100), "</sequence>".repeat(100));
        text(&open, n, |_| "<step/>".into(), &close)
    }),
];
