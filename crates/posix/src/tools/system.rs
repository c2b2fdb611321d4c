//! `hostname`, `id`, `whoami`, `uname`, `printenv`, `yes`, `nproc`, `arch`, `tty`, `sync`

use super::{Context, Outcome, Tool, fail, options};
use crate::process::Task;

pub(super) fn hostname(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "sfidI", &[("fqdn", 'f'), ("short", 's')])?;
    if !parsed.operands.is_empty() {
        return fail("you must be root to change the host name");
    }
    let name = context.hostname.clone();
    let shown = if parsed.has('s') {
        name.split('.').next().unwrap_or(&name).to_owned()
    } else {
        name
    };
    context.say(&format!("{shown}\n"));
    Ok(0)
}

pub(super) fn id(context: &mut Context) -> Outcome {
    let parsed = options::parse(
        context,
        "ugnGr",
        &[
            ("user", 'u'),
            ("group", 'g'),
            ("name", 'n'),
            ("groups", 'G'),
        ],
    )?;
    let user = context.user.clone();
    // Of groups too only root's has a name.
    let named = |number: u32| match number {
        0 => "0(root)".to_owned(),
        number => number.to_string(),
    };
    let short = |number: u32| match (parsed.has('n'), number) {
        (true, 0) => "root".to_owned(),
        (_, number) => number.to_string(),
    };
    let listed = |shown: &dyn Fn(u32) -> String, between: &str| {
        let all: Vec<String> = user.groups.iter().map(|group| shown(*group)).collect();
        all.join(between)
    };
    let text = match (parsed.has('u'), parsed.has('g'), parsed.has('G')) {
        (true, ..) => short(user.number),
        (_, true, _) => short(user.group),
        (.., true) => listed(&short, " "),
        _ => format!(
            "uid={} gid={} groups={}",
            named(user.number),
            named(user.group),
            listed(&named, ",")
        ),
    };
    context.say(&format!("{text}\n"));
    Ok(0)
}

pub(super) fn whoami(context: &mut Context) -> Outcome {
    let (number, name) = (context.user.number, context.user.name());
    if name.is_empty() {
        return match context.dialect {
            crate::Dialect::Ash => fail(format!("unknown uid {number}")),
            _ => fail(format!("cannot find name for user ID {number}")),
        };
    }
    context.say(&format!("{name}\n"));
    Ok(0)
}

pub(super) fn uname(context: &mut Context) -> Outcome {
    let long = [
        ("all", 'a'),
        ("kernel-name", 's'),
        ("nodename", 'n'),
        ("kernel-release", 'r'),
        ("machine", 'm'),
    ];
    let parsed = options::parse(context, "asnrvmpio", &long)?;
    let mut parts: Vec<&str> = "snrvm"
        .chars()
        .zip(&context.uname)
        .filter(|(c, _)| parsed.has(*c) || parsed.has('a'))
        .map(|(_, t)| t.as_str())
        .collect();
    if parsed.has('o') || parsed.has('a') {
        parts.push(if context.dialect == crate::Dialect::Ash {
            "Linux"
        } else {
            "GNU/Linux"
        });
    }
    if parts.is_empty() {
        parts.push(&context.uname[0]);
    }
    let text = parts.join(" ") + "\n";
    context.say(&text);
    Ok(0)
}

pub(super) fn arch(context: &mut Context) -> Outcome {
    let text = format!("{}\n", context.uname[4]);
    context.say(&text);
    Ok(0)
}

pub(super) fn nproc(context: &mut Context) -> Outcome {
    context.say("2\n");
    Ok(0)
}

pub(super) fn printenv(context: &mut Context) -> Outcome {
    let parsed = options::parse(context, "0", &[("null", '0')])?;
    let end = if parsed.has('0') { '\0' } else { '\n' };
    if parsed.operands.is_empty() {
        let all: String = context
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}{end}"))
            .collect();
        context.say(&all);
        return Ok(0);
    }
    let mut status = 0;
    for name in &parsed.operands {
        match context.env.get(name).cloned() {
            Some(value) => context.say(&format!("{value}{end}")),
            None => status = 1,
        }
    }
    Ok(status)
}

pub(super) fn yes_stream(_: Tool, argv: &[String]) -> Option<Task> {
    let text = if argv.len() > 1 {
        argv[1..].join(" ")
    } else {
        "y".to_owned()
    };
    Some(Task::Repeat(text + "\n"))
}

pub(super) fn nothing(_: &mut Context) -> Outcome {
    Ok(0)
}

pub(super) fn tty(context: &mut Context) -> Outcome {
    context.say("not a tty\n");
    Ok(1)
}
