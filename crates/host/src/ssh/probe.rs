//! What a login finds out: who we are there, what is installed, and how two trees can exchange their places.

use std::fmt::Write;

use super::Settings;

/// What is known of a host after the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it calls itself.
    pub hostname: String,
    /// The number of the user that everything is done as.
    pub user: u32,
    /// Programs that are needed and missing, Docker not among them.
    pub missing: Vec<String>,
    /// Whether there is a `docker` program.
    pub docker: bool,
    /// Whether there are `getfattr` and `setfattr`: without, attributes and access lists are neither seen nor set one by one.
    pub attributes: bool,
    /// How two trees exchange their places there.
    pub exchange: Option<Exchange>,
}

/// A way to the system call that exchanges two names in one step: no program of coreutils before 9.5 has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// Perl's `syscall`; every Debian and Ubuntu has it.
    Perl,
    /// Python's `ctypes`.
    Python,
    /// `mv --exchange`, of coreutils 9.5 and newer.
    Mv,
}

impl Exchange {
    /// All there are, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Perl, Self::Python, Self::Mv];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Perl => "perl",
            Self::Python => "python3",
            Self::Mv => "mv",
        }
    }

    /// A line of shell that calls `renameat2` with the flags `$f` on `$1` and `$2`.
    fn call(self) -> &'static str {
        match self {
            Self::Perl => {
                r#"perl -MPOSIX=uname -e 'my %n=(x86_64=>316,aarch64=>276,riscv64=>276,loongarch64=>276,armv6l=>382,armv7l=>382,armv8l=>382,i386=>353,i586=>353,i686=>353,ppc64=>357,ppc64le=>357,s390x=>347);my $n=$n{(uname())[4]};if(!$n){print STDERR "Function not implemented\n";exit 1}my($f,$a,$b)=@ARGV;if(syscall($n,-100,$a,-100,$b,$f+0)!=0){print STDERR "$!\n";exit 1}' "$f" "$1" "$2""#
            }
            Self::Python => {
                r#"python3 -c 'import ctypes,os,sys;c=ctypes.CDLL(None,use_errno=True);r=c.renameat2(-100,os.fsencode(sys.argv[2]),-100,os.fsencode(sys.argv[3]),int(sys.argv[1]));r==0 or sys.exit(os.strerror(ctypes.get_errno()))' "$f" "$1" "$2""#
            }
            Self::Mv => {
                r#"case $f in 2) mv -T --exchange -- "$1" "$2";; *) mv -T --no-copy --update=none-fail -- "$1" "$2";; esac"#
            }
        }
    }
}

/// The shell function `renameat2`, which takes `$f`, `$1` and `$2`. Without a way to the system call, a name is changed
/// by `mv` after a look at what it would replace.
pub(super) fn renameat2(exchange: Option<Exchange>) -> String {
    let call = exchange.map_or(
        r#"if [ -e "$2" ] || [ -L "$2" ]; then echo "File exists" >&2; return 1; fi
if [ "$(stat -c %d -- "$1")" != "$(stat -c %d -- "${2%/*}/")" ]; then echo "Invalid cross-device link" >&2; return 1; fi
mv -nT -- "$1" "$2" && [ ! -e "$1" ] && [ ! -L "$1" ]"#,
        Exchange::call,
    );
    format!("renameat2() {{\n{call}\n}}\n")
}

/// What must be there, besides a shell.
const TOOLS: &str = "cat head timeout stat realpath mv cp rm mkdir rmdir sync find xargs flock tar id uname date \
                     env pwd touch chmod chown sort sha256sum";

/// The script of a login. Between `mark` and `mark ready` it tells what it finds; then it waits for the end.
pub(super) fn script(mark: &str) -> String {
    let mut script = format!(
        r#"printf '%s\n' {mark}
printf 'hostname %s\nuser %s\n' "$(uname -n)" "$(id -u)"
for tool in {TOOLS}; do command -v $tool >/dev/null 2>&1 || printf 'missing %s\n' $tool; done
case $(tar --version 2>/dev/null) in *GNU*|'') ;; *) printf 'missing %s\n' 'GNU tar' ;; esac
sha256sum -z </dev/null >/dev/null 2>&1 || printf 'missing %s\n' 'sha256sum -z'
command -v docker >/dev/null 2>&1 && printf 'docker\n'
command -v getfattr >/dev/null 2>&1 && command -v setfattr >/dev/null 2>&1 && printf 'attributes\n'
f=2; set -- /proc/self/reprise-a /proc/self/reprise-b
"#
    );
    // Tried on what is not there: only the call that was meant says so.
    for way in [Exchange::Perl, Exchange::Python] {
        let (name, call) = (way.name(), way.call());
        let _ = writeln!(
            script,
            "command -v {name} >/dev/null 2>&1 && case $({{ {call}; }} 2>&1) in 'No such file or directory') \
             printf 'exchange {name}\\n' ;; esac"
        );
    }
    script.push_str("case $(mv --help 2>/dev/null) in *--exchange*) printf 'exchange mv\\n' ;; esac\n");
    let _ = writeln!(script, "printf '%s ready\\n' {mark}\nexec cat >/dev/null");
    script
}

impl Facts {
    pub(super) fn read(lines: &[String], settings: &Settings) -> Self {
        let values = |key: &str| -> Vec<&str> {
            lines.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).collect()
        };
        let ways = values("exchange");
        Self {
            hostname: values("hostname").first().map_or_else(String::new, ToString::to_string),
            user: values("user").first().and_then(|user| user.parse().ok()).unwrap_or(u32::MAX),
            missing: values("missing").into_iter().map(ToOwned::to_owned).collect(),
            docker: lines.iter().any(|line| line == "docker"),
            attributes: lines.iter().any(|line| line == "attributes"),
            exchange: settings.exchange.iter().copied().find(|way| ways.contains(&way.name())),
        }
    }
}
