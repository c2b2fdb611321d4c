//! The shell's language, case by case.

use crate::common::{run, run_with, show, shown};
use kubarium_posix::Dialect;

#[track_caller]
fn check(script: &str, wanted: &str) {
    let ran = run(script);
    assert_eq!(
        show(&ran).trim_end_matches('\n'),
        wanted,
        "{script}\nstandard error: {}",
        ran.err
    );
}

#[track_caller]
fn check_err(script: &str, dialect: Dialect, wanted: &str) {
    assert_eq!(run_with(script, dialect).err, wanted, "{script}");
}

#[test]
fn quoting() {
    check("echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f");
    check("echo \"a\\\"b\\$c\\\\d\\q\"", "a\"b$c\\d\\q");
    check("echo $'a\\tb\\'c'", "a\tb'c");
    check("echo a\\\nb", "ab");
    check("x='a  b'; echo $x; echo \"$x\"", "a b\na  b");
    check("echo \"\" '' | wc -c 2>/dev/null || true", "2");
}

#[test]
fn parameters() {
    check(
        "echo ${X:-d} ${X-e} [${X:+a}] ${X:=f} $X ${X:+g}",
        "d e [] f f g",
    );
    check("X=; echo [${X:-d}] [${X-d}] [${X+s}]", "[d] [] [s]");
    check(
        "X=abcabc; echo ${#X} ${X%c} ${X%b*} ${X%%b*} ${X#a} ${X#*b} ${X##*b}",
        "6 abcab abca a bcabc cabc c",
    );
    check("X='*.c'; echo \"${X%'.c'}\" \"${X#'*'}\"", "* .c");
    check("f() { echo $# $1 \"$@\" ; }; f a 'b c'", "2 a a b c");
    check(
        "f() { for i in \"$@\"; do echo \"<$i>\"; done; }; f a 'b c' ''",
        "<a>\n<b c>\n<>",
    );
    check(
        "f() { for i in $@; do echo \"<$i>\"; done; }; f a 'b c' ''",
        "<a>\n<b>\n<c>",
    );
    check("f() { IFS=,; echo \"$*\"; }; f a b c", "a,b,c");
    check("set -- a b c; shift; echo $1 $#", "b 2");
    check("set --; for i in \"$@\"; do echo never; done; echo $#", "0");
    check("echo ${X?none}; echo never", "? 2");
    check("set -u; echo $NOPE; echo never", "? 2");
    check("x=1 y=$x; echo $y", "1");
    check("A=1; (A=2; echo $A); echo $A", "2\n1");
    check(
        "x=/a/b/c.txt; echo ${x##*/} ${x%/*} ${x%.*}",
        "c.txt /a/b /a/b/c",
    );
    check("x=a; echo ${x}b \"${x}\"c $x'd'", "ab ac ad");
    check("echo ~ ~/x", "/root /root/x");
    check("echo \"${x:-\"a b\"}\" ${x:-'c  d'}", "a b c  d");
    check("echo ${x:-$(echo hi)} ${x:-`echo ho`}", "hi ho");
    check(
        "x=abcdef; echo ${x:1:2} ${x: -2} ${x/c/X} ${x//[ae]/_}",
        "bc ef abXdef _bcd_f",
    );
    check(
        "x=hello; echo ${x^} ${x^^}; y=ABC; echo ${y,,}",
        "Hello HELLO\nabc",
    );
}

#[test]
fn splitting_and_globbing() {
    check(
        "IFS=:; x=a:b::c; for i in $x; do echo [$i]; done",
        "[a]\n[b]\n[]\n[c]",
    );
    check("x=' a  b '; set -- $x; echo $#", "2");
    check(
        "cd /tmp; touch a.c b.c d.h .e.c; echo *.c; echo *.x; echo '*.c'; echo [ab].*",
        "a.c b.c\n*.x\n*.c\na.c b.c",
    );
    check(
        "mkdir -p /tmp/x/y; touch /tmp/x/y/1 /tmp/x/2; cd /tmp; echo x/* x/*/*; echo /tmp/*/",
        "x/2 x/y x/y/1\n/tmp/x/",
    );
    check("set -f; cd /tmp; touch a; echo *", "*");
    check("cd /tmp; touch a b; x='*'; echo $x \"$x\"", "a b *");
    assert_eq!(
        show(&run_with(
            "echo {a,b{1,2}}c {1..4} {c..a} {x} x{,y} '{a,b}'",
            Dialect::Bash
        )),
        "ac b1c b2c 1 2 3 4 c b a {x} x xy {a,b}\n"
    );
    check("echo {1..3}", "{1..3}");
}

#[test]
fn substitution_and_arithmetic() {
    check("echo $(echo a; echo b) \"$(echo c; echo d)\"", "a b c\nd");
    check("echo `echo \\`echo nested\\``", "nested");
    check("echo $(echo $(echo $(echo deep)))", "deep");
    check("x=$(false); echo $?", "1");
    check("x=$(exit 3) y=2; echo $? $y", "3 2");
    check(
        "echo $((1 + 2 * 3)) $((7 / 2)) $((7 % 3)) $((-7 / 2)) $((1 << 4)) $((0x10)) $((010))",
        "7 3 1 -3 16 16 8",
    );
    check(
        "x=5; echo $((x + 1)) $(($x * 2)) $((x > 3 ? 1 : 0)) $((x++)) $x $((++x)) $((x -= 3)) $x",
        "6 10 1 5 6 7 4 4",
    );
    check(
        "echo $((1 == 1 && 2 > 3 || 0)) $((!0)) $((~0)) $(( (1+2)*3 )) $((2**10))",
        "0 1 -1 9 1024",
    );
    check("echo $((1/0)); echo never", "? 2");
    check("i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i", "3");
    check("echo $( (echo sub) )", "sub");
    check("echo $(case x in x) echo yes;; esac)", "yes");
    check("((x = 3 * 4)); echo $x; ((0)) || echo zero", "12\nzero");
}

#[test]
fn control_flow() {
    check(
        "if true; then echo a; elif true; then echo b; else echo c; fi",
        "a",
    );
    check(
        "if false; then echo a; elif true; then echo b; else echo c; fi",
        "b",
    );
    check("if false; then echo a; else echo c; fi", "c");
    check("if false; then :; fi; echo $?", "0");
    check(
        "for i in 1 2 3; do if [ $i = 2 ]; then continue; fi; echo $i; done",
        "1\n3",
    );
    check(
        "for i in 1 2 3; do for j in a b; do [ $i$j = 2a ] && break 2; echo $i$j; done; done",
        "1a\n1b",
    );
    check(
        "i=0; until [ $i = 2 ]; do echo $i; i=$((i+1)); done",
        "0\n1",
    );
    check("case abc in a*) echo a;; *) echo other;; esac", "a");
    check(
        "case x in a|x) echo hit;; esac; case y in a) ;; esac; echo $?",
        "hit\n0",
    );
    check(
        "case '*' in '*') echo star;; esac; x='a*'; case abc in \"$x\") echo no;; $x) echo yes;; esac",
        "star\nyes",
    );
    check("case a in a) echo 1;& b) echo 2;; c) echo 3;; esac", "1\n2");
    check(
        "true && echo a || echo b; false && echo a || echo b",
        "a\nb",
    );
    check("! true; echo $?; ! false; echo $?", "1\n0");
    check(
        "{ echo a; echo b; } | while read x; do echo \"<$x>\"; done",
        "<a>\n<b>",
    );
    check("f() { return 3; echo never; }; f; echo $?", "3");
    check("f() { local x=2; echo $x; }; x=1; f; echo $x", "2\n1");
    check(
        "f() { [ $1 -le 0 ] && return; echo $1; f $(($1 - 1)); }; f 3",
        "3\n2\n1",
    );
    check("f() { f; }; f; echo never", "? 2");
    check("for ((i = 0; i < 3; i++)); do echo $i; done", "0\n1\n2");
    check("f() for i; do echo $i; done\nf a b", "a\nb");
    check("x=a; eval 'echo $x; x=b'; echo $x", "a\nb");
    check("for i in 1 2; do eval break; done; echo $i", "1");
    check(
        "echo 'y=7; echo sourced $1; return 4' > /tmp/s; . /tmp/s; echo $? $y",
        "sourced\n4 7",
    );
    check("exit 3; echo never", "? 3");
    check("(exit 4); echo $?", "4");
    check("while :; do break; done; echo $?", "0");
    check("if [ a = a ] && [ b != c ]; then echo ok; fi", "ok");
    check(
        "[[ a == a* && ! -f /nope ]] && echo ok; [[ abc =~ ^a.c$ ]] && echo re; [[ 3 -gt 2 || x < a ]] && echo num",
        "ok\nre\nnum",
    );
}

#[test]
fn redirections() {
    check(
        "echo a > /tmp/f; echo b >> /tmp/f; cat /tmp/f; cat < /tmp/f",
        "a\nb\na\nb",
    );
    check("cat <<EOF\nhi $((1+1))\n\\$x \"q\"\nEOF", "hi 2\n$x \"q\"");
    check("cat <<'EOF'\n$x `y`\nEOF", "$x `y`");
    check("cat <<-EOF\n\t\tin\n\tEOF", "in");
    check("cat <<A; cat <<B\n1\nA\n2\nB", "1\n2");
    check(
        "cat <<< 'here'; x=$(cat <<E\ndeep\nE\n); echo $x",
        "here\ndeep",
    );
    check("{ echo out; echo err >&2; } 2>/dev/null", "out");
    check("{ echo out; echo err >&2; } 2>&1 | cat", "out\nerr");
    check(
        "{ echo out; echo err >&2; } &> /tmp/f; cat /tmp/f",
        "out\nerr",
    );
    check("echo a > /nope/f; echo $?", "1");
    check("cat < /nope; echo $?", "1");
    check(
        "while read l; do echo \"[$l]\"; done <<E\na\n b \nE",
        "[a]\n[b]",
    );
    check("exec 3> /tmp/f; echo x >&3; exec 3>&-; cat /tmp/f", "x");
    check("exec > /tmp/f; echo hidden; exec >&2", "");
    check("if true; then echo in; fi > /tmp/f; cat /tmp/f", "in");
    check(
        "f() { echo fun; }; f > /tmp/f; echo after; cat /tmp/f",
        "after\nfun",
    );
    check(
        "for i in 1 2; do echo $i; done | { read a; read b; echo $b$a; }",
        "21",
    );
    check("echo data | { cat; echo end; }", "data\nend");
    check(
        "> /tmp/empty; [ -f /tmp/empty ] && [ ! -s /tmp/empty ] && echo made",
        "made",
    );
}

#[test]
fn builtins() {
    check("printf '%s-%d|%5.2f|%x\\n' a 5 3.14159 255", "a-5| 3.14|ff");
    check(
        "printf '%s\\n' a b c; printf '%-5s|%05d|%+d\\n' ab 42 7; printf '%b' 'a\\tb\\n'; printf '%%\\n'",
        "a\nb\nc\nab   |00042|+7\na\tb\n%",
    );
    check(
        "echo -n a; echo -e 'b\\tc'; echo -E 'd\\te'",
        "ab\tc\nd\\te",
    );
    check(
        "test -n '' -o 1 -eq 1 && echo or; [ ! -e /nope ] && echo not; [ -d /tmp -a -e /tmp ] && echo and",
        "or\nnot\nand",
    );
    check(
        "[ 1 -lt 2 ] && [ b \\> a ] && [ '(' = '(' ] && echo ok",
        "ok",
    );
    check("[ x -eq 1 ]; echo $?", "2");
    check("echo 'a b c d' | { read x y; echo \"$x|$y\"; }", "a|b c d");
    check("echo 'a:b:c' | { IFS=: read x y z; echo $z$y$x; }", "cba");
    check(
        "printf 'a\\\\b\\n' | { read -r x; echo \"$x\"; }; printf 'a\\\\b\\n' | { read x; echo \"$x\"; }",
        "a\\b\nab",
    );
    check("printf 'x' | { read v; echo \"$? $v\"; }", "1 x");
    check("export A=1; B=2; sh -c 'echo [$A] [$B]'", "[1] []");
    check("A=5 sh -c 'echo $A'; echo [$A]", "5\n[]");
    check("sh -c 'echo $0 $1 $#' name a b", "name a 2");
    check("echo 'echo from stdin' | sh", "from stdin");
    check("cd /tmp; pwd; cd ..; pwd; cd -", "/tmp\n/\n/tmp");
    check("set -e; echo a; false; echo never", "a\n? 1");
    check(
        "set -e; if false; then :; fi; false || true; ! true; echo ok",
        "ok",
    );
    check(
        "set -e; f() { false; echo in; }; f || echo caught; echo end",
        "in\nend",
    );
    check("set -e; (false); echo never", "? 1");
    check(
        "false | true; echo $?; set -o pipefail; false | true; echo $?",
        "0\n1",
    );
    check("trap 'echo bye' EXIT; echo hi; exit 2", "hi\nbye\n? 2");
    check("trap 'echo bye' EXIT; echo hi", "hi\nbye");
    check("unset X; X=1; unset X; echo [$X]", "[]");
    check("readonly R=1; R=2; echo never", "? 2");
    check("x=1; f() { x=2; }; f; echo $x; x=1; (f); echo $x", "2\n1");
    check("while getopts ab:c o; do echo $o $OPTARG; done", "");
    check(
        "f() { while getopts ab: o; do echo \"$o $OPTARG\"; done; }; f -a -b v -bw",
        "a \nb v\nb w",
    );
    check("env A=1 sh -c 'echo $A'; env -i B=2 env", "1\nB=2");
    check("command -v echo; type f 2>/dev/null; echo $?", "echo\n127");
    check("nosuch; echo $?", "127");
    check(
        "sleep 1 & wait; echo $?; (exit 3) & wait $!; echo $?",
        "0\n3",
    );
    check(
        "echo a b c | xargs -n1 echo; printf 'x\\ny\\n' | xargs -I{} echo '<{}>'; echo | xargs -r echo no",
        "a\nb\nc\n<x>\n<y>",
    );
    check(
        "timeout 2 sleep 5; echo $?; timeout 5 sleep 1; echo $?",
        "124\n0",
    );
    check("true; sh -c 'exec echo replaced; echo never'", "replaced");
    check("x=$(trap 'echo t' EXIT; echo b); echo $x", "b t");
    check("echo $$ | grep -c 1", "1");
}

#[test]
fn time_passes_only_in_waiting() {
    let took = |script: &str| run(script).took;
    assert_eq!(took("for i in 1 2 3; do sleep 0.5; done"), 1_500_000_000);
    assert_eq!(took("sleep 3 & sleep 2; wait"), 3_000_000_000);
    assert_eq!(took("(sleep 1; echo a) | (sleep 2; cat)"), 2_000_000_000);
    assert_eq!(
        took("timeout 1 sh -c 'while true; do sleep 0.3; done'"),
        1_000_000_000
    );
    assert_eq!(took("echo a | tr a b"), 0);
}

#[test]
fn pipelines_run_at_the_same_time() {
    check("yes | head -n 3", "y\ny\ny");
    check(
        "while true; do echo tick; sleep 1; done | head -n 2",
        "tick\ntick",
    );
    check("{ sleep 5; echo late; } | { read -t 1 x; echo $?; }", "142");
    check("seq 100000 | tail -n 1", "100000");
    check("x=$(seq 30000); echo ${#x}", "168893");
}

#[test]
fn messages() {
    check_err("nosuch", Dialect::Ash, "sh: nosuch: not found\n");
    check_err("nosuch", Dialect::Dash, "sh: 1: nosuch: not found\n");
    check_err(
        "\nnosuch",
        Dialect::Bash,
        "sh: line 2: nosuch: command not found\n",
    );
    check_err(
        "echo a; if",
        Dialect::Ash,
        "sh: syntax error: end of file unexpected\n",
    );
    check_err("set -x; echo 'a b' c", Dialect::Ash, "+ echo 'a b' c\n");
    check_err(
        "cat /nope",
        Dialect::Bash,
        "cat: /nope: No such file or directory\n",
    );
    check_err(
        "cat /nope",
        Dialect::Ash,
        "cat: can't open '/nope': No such file or directory\n",
    );
    assert_eq!(shown("echo before\necho )"), "before\n? 2");
}
