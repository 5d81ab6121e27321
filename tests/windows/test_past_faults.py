"""What went wrong on Windows and nowhere else, each fault by its name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from fake_aws import FakeAWS
from lab import Lab
from support import HOST, LIFE, Helper, age, entries, login, rules, soon

OTHER = "registry.example.com"
FALLBACK_RULE = '[fallback]\nhelper = "other"\n'
INSTANT = 6  # seconds: a start of the interpreter under Wine, and room; the time-out is 25
MARKING = '@echo seen>"{mark}"\r\n@echo {{"ServerURL":"x","Username":"x","Secret":"x"}}\r\n'


# A program in the current directory.


@pytest.fixture
def planted(lab: Lab, home: str) -> str:
    """A folder with helpers in it that leave a mark where they are run."""
    folder = f"{home}\\work"
    lab.unix(folder).mkdir()
    for name in ("other", "ecr"):
        lab.unix(f"{folder}\\docker-credential-{name}.cmd").write_bytes(
            MARKING.format(mark=f"{folder}\\mark").encode()
        )
    return folder


def test_a_fallback_in_the_current_directory_is_not_run(
    helper: Helper, lab: Lab, home: str, env: dict[str, str], planted: str
) -> None:
    """`get` looks for the fallback on PATH, never where it happens to be started."""
    rules(lab, env, home, FALLBACK_RULE)
    answer = helper.get(OTHER, cwd=planted)
    assert not lab.unix(f"{planted}\\mark").exists()
    assert answer.status == 1
    assert "docker-credential-other" in answer.err


def test_a_fallback_in_the_current_directory_gets_no_password(
    helper: Helper, lab: Lab, home: str, env: dict[str, str], planted: str
) -> None:
    """Nor does `store`, which would hand it the user's password."""
    rules(lab, env, home, FALLBACK_RULE)
    assert login(helper, "hunter2", OTHER, cwd=planted).status == 1
    assert not lab.unix(f"{planted}\\mark").exists()


@pytest.mark.parametrize("place", [".", "\\", "C:work", ""])
def test_a_place_on_path_that_is_not_absolute_is_passed_over(
    helper: Helper, lab: Lab, home: str, env: dict[str, str], planted: str, place: str
) -> None:
    """A folder on PATH counts if it is the same from everywhere, as in Go since 1.19."""
    rules(lab, env, home, FALLBACK_RULE)
    env["PATH"] = f"{place};{env['PATH']}"
    cwd = home if place == "C:work" else planted
    assert helper.get(OTHER, cwd=cwd).status == 1
    assert not lab.unix(f"{planted}\\mark").exists()


@pytest.mark.parametrize("command", [("doctor", "--offline", HOST), ("configure", HOST)])
def test_a_helper_in_the_current_directory_is_not_on_path(
    helper: Helper, env: dict[str, str], planted: str, lab: Lab, command: tuple[str, ...]
) -> None:
    """`doctor` and `configure` say that Docker finds no helper, as Docker does not look there."""
    env["PATH"] = "C:\\windows\\system32"
    done = helper(*command, cwd=planted)
    assert "not on PATH" in done.out + done.err
    assert not lab.unix(f"{planted}\\mark").exists()


# A file that anybody may make.


def test_a_configuration_that_anybody_could_make_is_not_read(
    helper: Helper, aws: FakeAWS, lab: Lab, env: dict[str, str]
) -> None:
    """Every user may make a folder in ProgramData: no rule from there sends a token anywhere."""
    place = lab.unix(f"{env['ProgramData']}\\docker-credential-ecr\\config.toml")
    place.parent.mkdir(parents=True)
    place.write_text(f'[[registry]]\nmatch = "evil.example.com"\nregistry = "{HOST}"\n')
    answer = helper.get("evil.example.com")
    assert (answer.status, answer.out) == (1, "credentials not found in native keychain\n")
    assert aws.requests == 0


# The identity.


def keys(lab: Lab, folder: str, access_key: str) -> None:
    path = lab.unix(folder)
    path.mkdir()
    (path / "credentials").write_text(
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = x\n"
    )


def test_a_percent_variable_in_a_path_is_part_of_the_identity(
    helper: Helper, aws: FakeAWS, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """Botocore expands %NAME%: another value is another file, and its token another token."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    keys(lab, f"{home}\\one", "AKIAONE")
    keys(lab, f"{home}\\two", "AKIATWO")
    env["AWS_SHARED_CREDENTIALS_FILE"] = "%WHERE%\\credentials"
    first = helper.get(env={"WHERE": f"{home}\\one"}).secret
    second = helper.get(env={"WHERE": f"{home}\\two"}).secret
    assert [aws.issued[secret][0] for secret in (first, second)] == ["AKIAONE", "AKIATWO"]


def test_a_dollar_in_a_path_is_no_variable(
    helper: Helper, aws: FakeAWS, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """Service accounts are called ci-agent$, administrative shares C$: their tokens are kept."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    keys(lab, f"{home}\\ci-agent$", "AKIAONE")
    env["AWS_SHARED_CREDENTIALS_FILE"] = f"{home}\\ci-agent$\\credentials"
    assert helper.get().secret == helper.get().secret
    assert aws.requests == 1


def on_an_instance(aws: FakeAWS, env: dict[str, str]) -> None:
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_EC2_METADATA_DISABLED"]
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.url


def test_the_token_of_an_instance_role_is_kept(
    helper: Helper, aws: FakeAWS, env: dict[str, str], cache: Path
) -> None:
    """It is served on this machine until the next boot, by what Windows knows of both."""
    on_an_instance(aws, env)
    first = helper.get().secret
    asked = aws.requests
    assert helper.get().secret == first
    assert aws.requests == asked
    # Wine shows this machine's /proc, Windows has none: nothing may come from there.
    with open("/proc/sys/kernel/random/boot_id") as file:
        assert file.read().strip() not in entries(cache)[0].read_text()


@pytest.mark.parametrize("what", ["machine", "boot"])
def test_the_token_of_an_instance_role_stays_on_its_machine(
    helper: Helper, aws: FakeAWS, env: dict[str, str], cache: Path, what: str
) -> None:
    """A disk's image carries no token to another machine, nor a boot's to the next."""
    on_an_instance(aws, env)
    first = helper.get().secret
    (entry,) = entries(cache)
    text = entry.read_text()
    start = r"(?m)^(booted (\d+) (.*))$"
    assert re.search(start, text), text

    def other(found: re.Match[str]) -> str:
        seconds, machine = int(found[2]), found[3]
        if what == "boot":
            return f"booted {seconds + 3600} {machine}"
        return f"booted {seconds} {machine[:-1]}{'0' if machine[-1] != '0' else '1'}"

    entry.write_bytes(re.sub(start, other, text).encode())
    assert helper.get().secret != first


# Windows of the other kind, and jobs.

COUNTING = """\
import ctypes, json
room = (ctypes.c_uint * 64)()
with open(r"{seen}", "a") as file:
    file.write(f"{{ctypes.windll.kernel32.GetConsoleProcessList(room, 64)}}\\n")
print(json.dumps({{"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "x"}}))
"""


def test_a_renewal_opens_no_console(
    helper: Helper, aws: FakeAWS, lab: Lab, home: str, env: dict[str, str], cache: Path
) -> None:
    """What a renewal starts shares its console, which has no window: one of its own would flash."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    seen = f"{home}\\seen"
    lab.unix(f"{home}\\process.py").write_text(COUNTING.format(seen=seen))
    env["AWS_CONFIG_FILE"] = f"{home}\\config"
    lab.unix(env["AWS_CONFIG_FILE"]).write_text(
        f'[default]\ncredential_process = "{lab.python}" "{home}\\process.py"\n'
    )
    helper.get()
    age(entries(cache)[0], int(0.8 * LIFE))
    lab.unix(seen).unlink()
    helper.get()
    soon(lambda: lab.unix(seen).exists() and lab.unix(seen).read_text(), "a renewal")
    assert int(lab.unix(seen).read_text()) > 1


JOB = """\
import ctypes, subprocess, sys
from ctypes import wintypes
kernel = ctypes.WinDLL("kernel32", use_last_error=True)
kernel.CreateJobObjectW.restype = wintypes.HANDLE
kernel.GetCurrentProcess.restype = wintypes.HANDLE
kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
job = kernel.CreateJobObjectW(None, None)
assert kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
done = subprocess.run(
    [sys.executable, "-m", "docker_credential_ecr", "get"], input=sys.argv[1].encode()
)
sys.exit(done.returncode)
"""


def test_a_renewal_starts_in_a_job_that_lets_nobody_out(
    helper: Helper, aws: FakeAWS, cache: Path
) -> None:
    """CI agents put what they start in a job; one that forbids leaving it gets its renewals too."""
    helper.get()
    age(entries(cache)[0], int(0.8 * LIFE))
    assert helper.python(JOB, HOST).status == 0
    soon(lambda: aws.requests == 2, "a renewal")


# Files that somebody holds open.

# Runs its arguments while it holds a file open as Python opens files, which forbids removal and
# replacement. With "until it writes" the file is let go a moment after something is written beside.
HOLDING = """\
import os, subprocess, sys, threading, time
path, how, *command = sys.argv[1:]
folder = os.path.dirname(path)
before = set(os.listdir(folder))
held = open(path, "rb")
def let_go():
    while set(os.listdir(folder)) == before:
        time.sleep(0.002)
    time.sleep(0.2)
    held.close()
if how == "until it writes":
    threading.Thread(target=let_go, daemon=True).start()
done = subprocess.run(command, input=sys.stdin.buffer.read())
held.close()
os._exit(done.returncode)
"""


def test_a_login_is_kept_though_a_reader_looks(
    helper: Helper, aws: FakeAWS, lab: Lab, cache: Path
) -> None:
    """A reader's moment makes no writer fail: replacing is tried again."""
    assert login(helper, aws.new_password("ONE", "us-east-1")).status == 0
    password = aws.new_password("TWO", "us-east-1")
    request = json.dumps({"ServerURL": HOST, "Username": "AWS", "Secret": password})
    path = windows(entries(cache)[0])
    done = helper.python(HOLDING, path, "until it writes", lab.helper, "store", stdin=request)
    assert done.status == 0, done.err
    assert helper.get().secret == password


def test_a_logout_forgets_what_a_reader_holds_open(
    helper: Helper, aws: FakeAWS, lab: Lab, cache: Path
) -> None:
    """What cannot be removed is overwritten: the login is served no more."""
    password = aws.new_password("ONE", "us-east-1")
    login(helper, password)
    path = windows(entries(cache)[0])
    done = helper.python(HOLDING, path, "throughout", lab.helper, "erase", stdin=HOST)
    assert (done.status, done.stdout, done.stderr) == (0, b"", b"")
    assert all(password.encode() not in p.read_bytes() for p in cache.rglob("*") if p.is_file())
    assert helper.get().secret != password


def test_configure_writes_though_docker_reads(helper: Helper, lab: Lab, home: str) -> None:
    """Docker's file is replaced a moment later where Docker looks into it just then."""
    path = lab.unix(f"{home}\\.docker\\config.json")
    path.parent.mkdir()
    path.write_text("{}")
    done = helper.python(
        *(HOLDING, f"{home}\\.docker\\config.json", "until it writes"),
        *(lab.helper, "configure", HOST),
    )
    assert done.status == 0, done.err
    assert json.loads(path.read_text())["credHelpers"] == {HOST: "ecr"}


# Ctrl-C.

# Runs its arguments in a console of their own, and presses Ctrl-C once AWS has been asked; prints
# how many seconds that took.
PRESSING = """\
import ctypes, json, subprocess, sys, time, urllib.request
url, host, *command = sys.argv[1:]
kernel = ctypes.windll.kernel32
kernel.FreeConsole()
assert kernel.AllocConsole()
process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1)
process.stdin.write(host.encode())
process.stdin.close()
while not json.load(urllib.request.urlopen(f"{url}/_calls")):
    time.sleep(0.02)
kernel.SetConsoleCtrlHandler(None, 1)
pressed = time.perf_counter()
assert kernel.GenerateConsoleCtrlEvent(0, 0)
status = process.wait(60)
print(json.dumps([status, time.perf_counter() - pressed, process.stderr.read().decode()]))
"""


def test_ctrl_c_ends_a_wait_at_once(helper: Helper, aws: FakeAWS, lab: Lab) -> None:
    """Ctrl-C at a prompt need not wait for the time-out."""
    aws.fault("GetAuthorizationToken", hang=True)
    done = helper.python(PRESSING, aws.url, HOST, lab.helper, "get")
    status, seconds, stderr = json.loads(done.out)
    assert (status, stderr) == (130, "")
    assert seconds < INSTANT


# What is written.


@pytest.mark.parametrize(
    "command",
    [
        ("completion", "bash"),
        ("token", HOST),
        ("status",),
        ("version",),
        ("configure", "--dry-run"),
    ],
)
def test_no_carriage_return_is_written(
    helper: Helper, aws: FakeAWS, command: tuple[str, ...]
) -> None:
    """Lines end as everywhere: a carriage return would be part of a token or of a script."""
    done = helper(*command, *([HOST] if command[0] == "configure" else []))
    assert done.status == 0, done.err
    assert b"\r" not in done.stdout + done.stderr


def test_a_name_that_the_code_page_lacks_is_written(helper: Helper, lab: Lab, home: str) -> None:
    """A file with any name in it can be shown into a pipe, whatever the code page is."""
    path = lab.unix(f"{home}\\.docker\\config.json")
    path.parent.mkdir()
    path.write_text('{\n\t"HttpHeaders": {},\n\t"psFormat": "\u8868"\n}\n', encoding="utf-8")
    done = helper("configure", "--dry-run", HOST)
    assert done.status == 0, done.err
    assert HOST in done.out


def test_a_new_file_in_a_difference_is_not_called_nul(helper: Helper) -> None:
    """The difference of a file that is not there yet begins as everywhere."""
    assert helper("configure", "--dry-run", HOST).out.startswith("--- /dev/null\n")


LEAVING = """\
import subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=-1, stdout=-1, stderr=-1)
process.stdout.close()
process.stdin.close()
sys.stdout.write(process.stderr.read().decode())
sys.exit(process.wait())
"""


@pytest.mark.parametrize("command", ["completion bash", "version"])
def test_a_reader_that_has_left_is_no_defect(helper: Helper, lab: Lab, command: str) -> None:
    """Who closes the pipe wants no more: nothing is said, and nothing is called a defect."""
    assert helper.python(LEAVING, lab.helper, *command.split()).out == ""


# The default directory.

LOADED = """\
import os, sys
from docker_credential_ecr import __main__
before = set(sys.modules)
sys.argv = ["docker-credential-ecr", "get"]
def leave(status):
    os.write(2, " ".join(sorted(set(sys.modules) - before)).encode())
    leaves(status)
leaves, os._exit = os._exit, leave
__main__.main()
"""


def in_this_profile(env: dict[str, str]) -> None:
    """Let the shell's folders stand, which platformdirs asks for."""
    del env["WIN_PD_OVERRIDE_LOCAL_APPDATA"]


def test_a_hit_in_the_default_directory_loads_no_library(helper: Helper, aws: FakeAWS) -> None:
    """Platformdirs and ctypes cost more than the whole of a hit."""
    helper.get()
    done = helper.python(LOADED, stdin=HOST, env={"WIN_PD_OVERRIDE_LOCAL_APPDATA": None})
    assert done.secret in aws.issued
    assert aws.requests == 1
    assert not {"platformdirs", "ctypes", "winreg"} & set(done.err.split())


WHERE = """\
import os
from platformdirs import user_cache_dir
from docker_credential_ecr import cache
print(cache.directory(os.environ))
print(user_cache_dir("docker-credential-ecr", appauthor=False))
"""


@pytest.mark.parametrize("how", ["session", "override", "none"])
def test_the_default_directory_is_platformdirs(
    helper: Helper, lab: Lab, env: dict[str, str], how: str
) -> None:
    """Our rule and platformdirs' say the same, in a user's session and with its own variables."""
    session = lab.run(
        lab.python, "-c", "import os; print(os.environ['LOCALAPPDATA'])", env=None
    ).out.strip()
    env["USERPROFILE"] = session.removesuffix("\\AppData\\Local")
    env["LOCALAPPDATA"] = session
    if how != "override":
        del env["WIN_PD_OVERRIDE_LOCAL_APPDATA"]
    if how == "none":
        del env["LOCALAPPDATA"]
    ours, theirs = helper.python(WHERE).out.split("\r\n")[:2]
    assert ours == theirs


# Small ones.


@pytest.mark.parametrize("folder", ["relative", "C:relative", "\\rooted", "\\\\?\\C:\\users"])
def test_a_cache_directory_that_cannot_serve_is_refused_with_the_reason(
    helper: Helper, env: dict[str, str], folder: str
) -> None:
    """A folder that depends on where we are started, or that cannot hold our paths, is named."""
    env["AWS_ECR_CACHE_DIR"] = folder
    done = login(helper, "x" * 40)
    assert done.status == 1
    assert "AWS_ECR_CACHE_DIR" in done.err
    assert "absolute" in done.err


@pytest.mark.parametrize("host", ["con.example.com", "nul"])
def test_a_host_named_as_a_device_is_answered(
    helper: Helper, aws: FakeAWS, lab: Lab, env: dict[str, str], home: str, host: str
) -> None:
    """CON, NUL and the rest are hosts to the network: the answer comes, kept or not."""
    rules(lab, env, home, f'[[registry]]\nmatch = "{host}"\nregistry = "{HOST}"\n')
    assert helper.get(host).secret in aws.issued
    assert helper.get(host).secret in aws.issued


def test_without_a_profile_nothing_is_written_beside(
    helper: Helper, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """Without USERPROFILE there is no home: `configure` says so, and makes no folder named ~."""
    for name in ("USERPROFILE", "HOMEDRIVE", "HOMEPATH"):
        del env[name]
    place = f"{home}\\work"
    lab.unix(place).mkdir()
    done = helper("configure", HOST, cwd=place)
    assert done.status == 1
    assert "USERPROFILE" in done.err
    assert list(lab.unix(place).iterdir()) == []


def test_a_credential_process_that_is_not_there_is_named(
    helper: Helper, aws: FakeAWS, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """The reason says which program is missing."""
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    env["AWS_CONFIG_FILE"] = f"{home}\\config"
    lab.unix(env["AWS_CONFIG_FILE"]).write_text(
        "[default]\ncredential_process = get-my-credentials --now\n"
    )
    done = helper.get()
    assert done.status == 1
    assert "get-my-credentials" in done.err or "credential_process" in done.err
    assert "FileNotFoundError" not in done.err


def test_no_script_lies_beside_the_executable(lab: Lab) -> None:
    """A shell that is no Windows program would run it, and cut its first line at the first space."""
    names = [path.name for path in lab.unix(lab.scripts).iterdir()]
    assert [name for name in names if name.startswith("docker-")] == ["docker-credential-ecr.exe"]


# Hints.

POSIX_ONLY = ("export ", "chmod", "chown", "rm '", "timedatectl", "set HOME", '"pass"', "sudo")


def test_hints_can_be_followed_on_windows(
    helper: Helper, lab: Lab, home: str, env: dict[str, str]
) -> None:
    """No hint names a command that Windows does not have."""
    env["PATH"] = "C:\\windows\\system32"
    lab.unix(f"{home}\\cache").write_text("a file in its place")
    path = lab.unix(f"{home}\\.docker\\config.json")
    path.parent.mkdir()
    path.write_text('{"credsStore": "ecr"}')
    said = [
        helper("doctor", "--offline", HOST, env={"AWS_ECR_CACHE_DIR": f"{home}\\cache"}),
        helper("doctor", "--offline", HOST, env={"AWS_ECR_DISABLE_CACHE": "1"}),
        helper("configure", HOST),
    ]
    text = "".join(run.out + run.err for run in said)
    assert [word for word in POSIX_ONLY if word in text] == []
    shutil.rmtree(path.parent)


def windows(path: Path) -> str:
    """Return a path of the lab's drive as Windows writes it."""
    return "C:\\" + str(path).partition("/drive_c/")[2].replace("/", "\\")
