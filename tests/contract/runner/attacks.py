"""Programs that try to leave the sandbox, to harm its neighbours or to outlive it, and what each would prove.

Each defines `main` and gets `secret_file` (a readable file of the host with the canary in it), `folder` (of the host, open
to everybody), `port`, `udp_port`, `unix_path`, `abstract` (canary servers), `engine_pid`. Whatever it gives or prints is
searched for the canary; servers, folder and process table are looked at afterwards. `control` = without a sandbox the
program does escape, which a test shows; `reasons` = how it must end when it does not give a value by itself.
"""

from __future__ import annotations

import textwrap

import msgspec


class Attack(msgspec.Struct, frozen=True):
    """One program."""

    name: str
    code: str
    control: bool = False
    reasons: tuple[str, ...] = ()


_HEAD = "def main(secret_file, folder, port, udp_port, unix_path, abstract, engine_pid):\n"
_LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"


def _attack(name: str, body: str, *, control: bool = False, reasons: tuple[str, ...] = ()) -> Attack:
    return Attack(name, _HEAD + textwrap.indent(textwrap.dedent(body).strip(), "    "), control, reasons)


FILES = (
    _attack("reads a file of the host", "return open(secret_file).read()", control=True),
    _attack("reads it by descriptor", "import os\nreturn os.read(os.open(secret_file, 0), 99).decode()", control=True),
    _attack("reads it by pathlib", "import pathlib\nreturn pathlib.Path(secret_file).read_text()", control=True),
    _attack("lists the folder", "import os\nopen(folder + '/listed', 'w').close()\nreturn os.listdir(folder)", control=True),
    _attack("writes into a folder of the host", "open(folder + '/written', 'w').write('x')", control=True),
    _attack("makes a folder", "import os\nos.mkdir(folder + '/made')", control=True),
    _attack("removes a file", "import os\nos.remove(folder + '/kept')", control=True),
    _attack("truncates a file", "import os\nos.truncate(folder + '/kept', 0)", control=True),
    _attack("renames a file", "import os\nos.rename(folder + '/kept', folder + '/renamed')", control=True),
    _attack("changes a mode", "import os\nos.chmod(folder + '/kept', 0o777)\nos.chmod(folder, 0o700)", control=True),
    _attack(
        "follows a symbolic link out",
        "import os\nos.symlink(secret_file, '/tmp/way-out')\ntry:\n    return open('/tmp/way-out').read()\nfinally:\n    os.unlink('/tmp/way-out')",
        control=True,
    ),
    _attack(
        "follows a hard link out",
        "import os\nos.link(secret_file, folder + '/linked')\nreturn open(folder + '/linked').read()",
        control=True,
    ),
    _attack("climbs by dots", "import os\nreturn open('/tmp/' + '../' * 20 + secret_file.lstrip('/')).read()", control=True),
    _attack("reads by mapping", "import mmap\nf = open(secret_file, 'rb')\nreturn mmap.mmap(f.fileno(), 0, access=1)[:].decode()", control=True),
    _attack("opens by a raw system call", _LIBC + "import os\nfd = libc.syscall(2, secret_file.encode(), 0)\nreturn os.read(fd, 99).decode()", control=True),
    _attack("opens by the newest system call", _LIBC + "import os, struct\nhow = struct.pack('=QQQ', 0, 0, 0)\nfd = libc.syscall(437, -100, secret_file.encode(), how, 24)\nreturn os.read(fd, 99).decode()", control=True),
    _attack("opens by handle", _LIBC + "buffer = ctypes.create_string_buffer(200)\nbuffer[0] = 128\nmount = ctypes.c_int()\nif libc.syscall(303, -100, secret_file.encode(), buffer, ctypes.byref(mount), 0) == 0:\n    import os\n    fd = libc.syscall(304, -100, buffer, 0)\n    return os.read(fd, 99).decode()"),
    _attack("imports a module of the host's folder", "import sys\nsys.path.insert(0, folder)\nimport planted\nreturn planted.VALUE", control=True),
    _attack("reads the engine's code", "import glob\nreturn [open(p).read() for p in glob.glob('/**/driven_adapters/sandbox/local.py', recursive=True)][0] + 'x'"),
    _attack("changes its root", "import os\nos.chroot('/')\nreturn open(secret_file).read()"),
    _attack("copies within the kernel", "import os\na = os.open(secret_file, 0)\nb = os.open(folder + '/copied', os.O_WRONLY | os.O_CREAT)\nos.sendfile(b, a, 0, 99)", control=True),
)  # fmt: skip

PROCESSES = (
    _attack("reads its environment", "import os\nreturn dict(os.environ)", control=True),
    _attack("reads the engine's environment", "return open(f'/proc/{engine_pid}/environ').read()", control=True),
    _attack("reads the environment of all", "import glob\nfound = ''\nfor path in glob.glob('/proc/[0-9]*/environ'):\n    try:\n        found += open(path).read()\n    except OSError:\n        pass\nreturn found", control=True),
    _attack("reads its parent's environment", "import os\nreturn open(f'/proc/{os.getppid()}/environ').read()", control=True),
    _attack("reads the engine's memory", "return open(f'/proc/{engine_pid}/mem', 'rb').read(1)"),
    _attack("reads the engine's command line", "line = open(f'/proc/{engine_pid}/cmdline').read()\nopen(folder + '/cmdline', 'w').write(line)", control=True),
    _attack("reads the engine's memory by call", _LIBC + "import os\nbuffer = ctypes.create_string_buffer(8)\nreturn libc.syscall(310, engine_pid, buffer, 1, buffer, 1, 0)"),
    _attack("looks through its root link", "return open(f'/proc/self/root{secret_file}').read()", control=True),
    _attack("looks through the engine's root", "return open(f'/proc/{engine_pid}/root{secret_file}').read()", control=True),
    _attack("uses descriptors that it inherited", "import os\nfound = b''\nfor fd in range(3, 200):\n    try:\n        os.lseek(fd, 0, 0)\n        found += os.read(fd, 999)\n    except OSError:\n        pass\nreturn found.decode('latin-1')"),
    _attack("kills the engine", "import os\nos.kill(engine_pid, 0)\nopen(folder + '/could-kill', 'w').close()", control=True),
    _attack("kills its parent", "import os\nif os.getppid() > 1:\n    os.kill(os.getppid(), 9)"),
    _attack("kills everybody", "import os\ntry:\n    os.kill(-1, 9)\nexcept OSError:\n    pass"),
    _attack("kills its group", "import os\nos.killpg(0, 9)", reasons=("died", "raised")),
    _attack("kills by descriptor", "import signal, os\nfd = os.pidfd_open(engine_pid)\nsignal.pidfd_send_signal(fd, 0)\nopen(folder + '/could-kill', 'w').close()", control=True),
    _attack("signals by the owner of a descriptor", "import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, engine_pid)\nfcntl.fcntl(r, fcntl.F_SETSIG, 9)\nopen(folder + '/could-own', 'w').close()", control=True),
    _attack("traces the engine", _LIBC + "if libc.ptrace(16, engine_pid, 0, 0) == 0:\n    return libc.ptrace(17, engine_pid, 0, 0)"),
    _attack("limits the engine", "import resource\nresource.prlimit(engine_pid, resource.RLIMIT_NOFILE)\nopen(folder + '/could-limit', 'w').close()", control=True),
    _attack("runs a shell", "import subprocess\nreturn subprocess.check_output(['/bin/cat', secret_file]).decode()", control=True),
    _attack("runs by os.system", "import os\nos.system(f'cp {secret_file} {folder}/copied')", control=True),
    _attack("becomes another program", "import os\nos.execv('/bin/cp', ['cp', secret_file, folder + '/copied'])", control=True),
    _attack("spawns without forking", "import os\nos.waitpid(os.posix_spawn('/bin/cp', ['cp', secret_file, folder + '/copied'], {}), 0)", control=True),
    _attack("forks", "import os\nif os.fork() == 0:\n    open(folder + '/forked', 'w').close()\n    os._exit(0)\nos.wait()", control=True),
    _attack("forks by a raw system call", _LIBC + "import os\nif libc.syscall(57) == 0:\n    open(folder + '/forked', 'w').close()\n    os._exit(0)", control=True),
    _attack("forks by the newest system call", _LIBC + "import struct, os\nif libc.syscall(435, struct.pack('=8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64) == 0:\n    open(folder + '/forked', 'w').close()\n    os._exit(0)", control=True),
    _attack("is a fork bomb", "import os\nwhile True:\n    os.fork()"),
    _attack("leaves a daemon", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(0)"),
    _attack("uses a pool of processes", "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n    return pool.map(len, ['a', 'b'])"),
    _attack("becomes root", "import os\nos.setuid(0)\nreturn open('/etc/shadow').read()"),
    _attack("becomes root by call", _LIBC + "libc.setresuid(0, 0, 0)\nimport os\nreturn open('/etc/shadow').read() if os.getuid() == 0 else None"),
    _attack("takes capabilities", _LIBC + "libc.syscall(126, b'\\x22\\x05\\x08\\x20\\0\\0\\0\\0', b'\\xff' * 24)\nreturn open('/etc/shadow').read()"),
    _attack("makes a namespace", _LIBC + "if libc.unshare(0x10000000) == 0:\n    open(folder + '/unshared', 'w').close()", control=True),
    _attack("joins the engine's namespaces", _LIBC + "import os\nfd = os.open(f'/proc/{engine_pid}/ns/mnt', 0)\nreturn libc.setns(fd, 0)"),
    _attack("mounts", _LIBC + "libc.mount(b'proc', b'/tmp', b'proc', 0, None)\nreturn open('/tmp/1/environ').read()"),
    _attack("loads a filter", _LIBC + "assert libc.syscall(321, 5, ctypes.create_string_buffer(120), 120) < 0"),
    _attack("opens a ring", _LIBC + "if libc.syscall(425, 4, ctypes.create_string_buffer(120)) >= 0:\n    open(folder + '/ring', 'w').close()"),
    _attack("measures others", _LIBC + "assert libc.syscall(298, ctypes.create_string_buffer(b'\\0' * 120), engine_pid, -1, -1, 0) < 0"),
    _attack("reads the kernel's keys", _LIBC + "if libc.syscall(250, 0, -3, 1) >= 0:\n    open(folder + '/keys', 'w').close()", control=True),
    _attack("sets the clock", "import time\ntime.clock_settime(time.CLOCK_REALTIME, 1.0)"),
    _attack("uses the calls of another machine type", _LIBC + "import os\nfd = libc.syscall(0x40000002, secret_file.encode(), 0)\nreturn os.read(fd, 99).decode() if fd >= 0 else None"),
)  # fmt: skip

NETWORK = (
    _attack("connects", "import socket\nsocket.create_connection(('127.0.0.1', port), 2).send(b'x')", control=True),
    _attack("connects by http", "import urllib.request\nurllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=1)", control=True),
    _attack("sends a datagram", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', udp_port))", control=True),
    _attack("sends by a pair's socket", "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendto(b'x', unix_path)", control=True),
    _attack("sends by a pair's message", "import socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\na.sendmsg([b'x'], [], 0, unix_path)", control=True),
    _attack("sends to a socket of the host", "import socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.sendto(b'x', unix_path)", control=True),
    _attack("sends to an abstract socket", "import socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.sendto(b'x', '\\0' + abstract)", control=True),
    _attack("listens", "import socket\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\nopen(folder + '/listens', 'w').close()", control=True),
    _attack("asks for a name", "import socket\nreturn socket.gethostbyname('localhost') and open(folder + '/asked', 'w').close()", control=True),
    _attack("opens a raw socket", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nopen(folder + '/raw', 'w').close()"),
    _attack("asks the kernel by netlink", "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\nopen(folder + '/netlink', 'w').close()", control=True),
    _attack("opens a socket to the host machine", "import socket\nsocket.socket(socket.AF_VSOCK)\nopen(folder + '/vsock', 'w').close()"),
    _attack("connects by a raw system call", _LIBC + "import struct\nfd = libc.syscall(41, 2, 1, 0)\naddress = struct.pack('=H', 2) + struct.pack('>H', port) + bytes([127, 0, 0, 1]) + bytes(8)\nreturn libc.syscall(42, fd, address, 16)", control=True),
)  # fmt: skip

LIMITS = (
    _attack("spins", "while True:\n    pass", reasons=("cpu", "wall")),
    _attack("spins in C", "return sum(range(10**12))", reasons=("cpu", "wall", "raised")),
    _attack("spins and keeps its signals", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass", reasons=("cpu", "wall", "raised", "invalid")),
    _attack("sleeps", "import threading\nthreading.Event().wait(600)", reasons=("wall", "raised", "invalid")),
    _attack("ignores being told to end", "import signal\nfor n in (1, 2, 15, 24):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n    except OSError:\n        pass\nwhile True:\n    pass", reasons=("cpu", "wall", "raised", "invalid")),
    _attack("asks for 4 GB", "return len(bytearray(4 * 2**30))", reasons=("memory", "raised")),
    _attack("collects memory", "kept = []\nwhile True:\n    kept.append('x' * 2**20 + str(len(kept)))", reasons=("memory",)),
    _attack("shares memory", "import mmap\nm = mmap.mmap(-1, 4 * 2**30)\nfor n in range(0, 4 * 2**30, 4096):\n    m[n] = 1", reasons=("raised", "memory", "invalid")),
    _attack("makes memory files", _LIBC + "assert libc.syscall(319, b'm', 0) < 0"),
    _attack("is a thread bomb", "import threading\nfor _ in range(10000):\n    threading.Thread(target=threading.Event().wait, daemon=True).start()", reasons=("raised", "memory", "died", "invalid")),
    _attack("takes every descriptor", "import os\nfor _ in range(10000):\n    os.open('/dev/null', 0)", reasons=("raised", "invalid")),
    _attack("fills the disk", "block = b'x' * 2**20\nn = 0\nwhile True:\n    with open(f'/tmp/fill-{n}', 'wb') as f:\n        for _ in range(64):\n            f.write(block)\n    n += 1", reasons=("raised", "invalid")),
    _attack("prints without end", "while True:\n    print('x' * 1000)", reasons=("log",)),
    _attack("prints empty lines without end", "while True:\n    print()", reasons=("log",)),
    _attack("prints a line without end", "while True:\n    print('x' * 1000, end='')", reasons=("log",)),
    _attack("writes errors without end", "import os\nwhile True:\n    os.write(2, b'x' * 1000)", reasons=("log", "raised", "invalid")),
    _attack("writes to standard output below us", "import os\nwhile True:\n    os.write(1, b'x' * 1000 + b'\\n')", reasons=("log", "raised", "invalid")),
    _attack("gives too much", "return 'x' * 2 * 2**20", reasons=("output",)),
    _attack("gives what contains itself", "a = []\na.append(a)\nreturn a", reasons=("invalid", "raised", "died")),
    _attack("gives a tower", "a = []\nfor _ in range(10**5):\n    a = [a]\nreturn a", reasons=("invalid", "raised", "died", "memory")),
    _attack("recurses", "def f(): return f()\nreturn f()", reasons=("raised", "died")),
    _attack("raises its limits", "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))\nopen(folder + '/raised', 'w').close()", reasons=("raised", "invalid")),
    _attack("crashes", "import ctypes\nctypes.string_at(0)", reasons=("died", "raised", "invalid")),
    _attack("exits without a word", "import os\nos._exit(0)", reasons=("died", "raised", "invalid")),
    _attack("exits as if all were well", "import sys\nsys.exit(0)", reasons=("raised", "invalid")),
)  # fmt: skip

PROTOCOL = (
    _attack("forges a frame", "import os\nfor fd in range(3, 20):\n    try:\n        os.write(fd, b'\\xff' * 64)\n    except OSError:\n        pass", reasons=("died", "output", "raised", "invalid")),
    _attack("forges a huge value", "import os, struct\nfor fd in range(3, 20):\n    try:\n        os.write(fd, struct.pack('>IB', 2**31, ord('V')))\n    except OSError:\n        pass", reasons=("output", "raised", "invalid")),
    _attack("forges a failure that only the engine may tell", "import os, struct\nbody = b'{\"reason\": \"wall\", \"message\": \"m\"}'\nfor fd in range(3, 20):\n    try:\n        os.write(fd, struct.pack('>IB', len(body), ord('F')) + body)\n    except OSError:\n        pass", reasons=("died", "raised", "invalid")),
    _attack("begins twice", "import os, struct\nfor fd in range(3, 20):\n    try:\n        os.write(fd, struct.pack('>IB', 0, ord('B')))\n    except OSError:\n        pass", reasons=("died", "raised", "invalid")),
    _attack("writes terminal codes", "print('\\x1b[2J\\x1b]0;owned\\x07')\nreturn 1"),
    _attack("raises what cannot be shown", "class E(Exception):\n    def __str__(self):\n        raise SystemExit\nraise E", reasons=("raised", "died", "invalid")),
    _attack("looks into the frames below it", "import sys\nf, found = sys._getframe(), ''\nwhile f:\n    found += repr(f.f_globals) + repr(f.f_locals)\n    f = f.f_back\nreturn found[-1000:]"),
    _attack("traces what comes after it", "import sys\nsys.settrace(lambda *a: a)\nreturn 1"),
    _attack("reaches classes by attributes", "return [c.__name__ for c in ().__class__.__base__.__subclasses__()][:5]"),
)  # fmt: skip

ATTACKS = (*FILES, *PROCESSES, *NETWORK, *LIMITS, *PROTOCOL)
