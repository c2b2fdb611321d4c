//! Text tools: that nothing that is given to them makes them panic, hang or overflow the stack.

use kubarium_posix::{Dialect, Machine, MemoryHost, Options, Progress, quote};
use proptest::prelude::*;

/// A browser's stack; without optimization frames are several times as large.
const STACK_BYTES: usize = if cfg!(debug_assertions) {
    4 << 20
} else {
    1 << 20
};

/// Runs a script for a while on a small stack.
fn survives(script: &str) {
    let script = script.to_owned();
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let mut machine = Machine::run(
                &script,
                Options {
                    dialect: Dialect::Bash,
                    ..Options::default()
                },
            );
            let mut host = MemoryHost::default();
            // Cannot fail: the path is absolute and the files are empty.
            let _ = host.files.put("/f", b"a b c\n1 2 3\n\n\xff\xfe\nx=1,y=2\n");
            for _ in 0..50 {
                match machine.step(&mut host, 20_000) {
                    Progress::Ran => {}
                    Progress::Blocked(Some(time)) => host.time = time,
                    _ => break,
                }
            }
        });
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn recursion_is_limited() {
    for script in [
        "awk 'function f(n) { return f(n + 1) + (1 + (2 * (3 - n))) } BEGIN { print f(0) }'",
        "jq -n 'def f: [. | f | f]; f'",
        "jq -n 'def f(x): x | f(x | x); f(1)'",
        "jq -n '[recurse([.])]|length'",
        "jq -n 'reduce range(300) as $i (null; [.]) | tojson | fromjson | tojson'",
        "jq -n 'reduce range(3000) as $i (null; [.])'",
        "jq -n 'reduce range(3000) as $i (null; [.]) | flatten, sort, (. == .), (.. | numbers)'",
        "jq -n '[limit(3; repeat(1))], first(range(1e9))'",
        "sed ':a;s/a/aa/;ba' /f",
        "awk 'BEGIN { while (1) x = x \"a\" }'",
        "awk 'BEGIN { for (;;) a[i++] = i }'",
        "grep -E '((((((((((a*)*)*)*)*)*)*)*)*)*)*b' /f",
        "expr '(' '(' 1 ')' ')'; echo '*a*a*a*a*a*a*a*b' | sed 's/a*a*a*a*a*a*a*a*b//'",
        "seq 1e12; seq 1 0.0000001 1e9; printf '%1000000000d' 1; yes | head -c 99999999999",
        "case aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa in *a*a*a*a*a*a*a*a*a*b) ;; esac",
        "date -d @99999999999999999; date -d '9999999999 days'; date -d 99999-99-99",
        "cut -f 99999999999999999999-1 /f; head -n 99999999999999999999 /f; tr 'z-a' x < /f",
        "tr '[x*99999999999]' y < /f; fold -w 0 /f; nl -w 99999999 /f; column -t -s '' /f",
        "f() { f | f; }; f",
        "find / -name '**********a'; ls -R /; du -a /; cp -r / /x; mv / /x; rm -rf /",
        "ln -s /l /l; cat /l; ln -s l2 /l1; ln -s l1 /l2; cd /l1; ls /l1 /l; test -e /l1",
        "xargs -n 0 < /f; xargs -I '' echo < /f; sort -k 0 /f; sort -k 1.99999999999 /f; sort -t '' /f",
    ] {
        survives(script);
    }
}

const TOOLS: [&str; 14] = [
    "sed",
    "sed -E",
    "awk",
    "jq -c",
    "grep -E",
    "grep -o",
    "tr",
    "cut -d, -f",
    "sort -k",
    "date -d",
    "printf",
    "expr",
    "seq",
    "head -n",
];

const PIECES: [&str; 60] = [
    "s/",
    "/g",
    "a",
    "b",
    "\\(",
    "\\)",
    "\\1",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    "*",
    "+",
    "?",
    "|",
    "^",
    "$",
    "/",
    "\\",
    "1",
    "2,3",
    "-",
    "p",
    "d",
    "N",
    "y/ab/cd/",
    "$1",
    "$0",
    "print ",
    "BEGIN",
    "function f(x)",
    "x",
    "=",
    "==",
    "~",
    ";",
    "\n",
    "if",
    "for(;;)",
    "getline",
    "\"",
    "split(",
    ",",
    ".a",
    "..",
    "as $x",
    "|=",
    "//",
    "reduce ",
    "def f:",
    "map(",
    "%d",
    "%*s",
    "%",
    "é",
    "@base64",
    "[:alpha:]",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_program_panics(
        tool in prop::sample::select(&TOOLS[..]),
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..14),
    ) {
        let program = quote(&pieces.concat());
        survives(&format!("{tool} {program} /f < /f; {tool} {program} < /f; [ {program} ]; echo $(( ${{#x}} ))"));
    }

    #[test]
    fn no_text_panics(tool in prop::sample::select(&TOOLS[..]), text in "\\PC{0,40}") {
        survives(&format!("{tool} {} /f < /f; echo {} | {tool} . ", quote(&text), quote(&text)));
    }
}
