#!/usr/bin/env python3
"""Assay's ordering beside a three-member etcd, on this machine, in one run.

Both get 512-byte values over loopback and make them durable before they answer. Two questions are asked of each:
how many a second it takes, and how long one takes at a rate that both can bear. Pairs are repeated in turn, and medians count.

Needs Python 3.9 or later and nothing else of it, the program (`make build`) and etcd (Debian: `apt-get install etcd-server`).
Every process that is started here is ended here, by its id.
"""
import argparse, json, os, selectors, shutil, signal, socket, statistics, struct, subprocess, sys, tempfile, time

# MARK: etcd's processes


class Etcd:
    """Three members on loopback, each with its own directory under `home`."""

    def __init__(self, program, home):
        ports = free_ports(6)
        self.clients = ports[:3]
        cluster = ",".join(f"m{i}=http://127.0.0.1:{ports[3 + i]}" for i in range(3))
        self.members = []
        for i in range(3):
            log = open(os.path.join(home, f"m{i}.log"), "w")
            client, peer = f"http://127.0.0.1:{ports[i]}", f"http://127.0.0.1:{ports[3 + i]}"
            self.members.append(subprocess.Popen(
                [program, "--name", f"m{i}", "--data-dir", os.path.join(home, f"m{i}"), "--listen-client-urls", client, "--advertise-client-urls", client,
                 "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--initial-cluster-state", "new",
                 "--quota-backend-bytes", str(8 << 30), "--logger", "zap", "--log-level", "error"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "ETCD_UNSUPPORTED_ARCH": os.uname().machine}))

    def stop(self):
        for member in self.members:
            if member.poll() is None:
                os.kill(member.pid, signal.SIGTERM)
        for member in self.members:
            try:
                member.wait(10)
            except subprocess.TimeoutExpired:
                os.kill(member.pid, signal.SIGKILL)
                member.wait()

    def cpu_seconds(self):
        ticks = 0
        for member in self.members:
            fields = open(f"/proc/{member.pid}/stat").read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def written_bytes(self):
        total = 0
        for member in self.members:
            for line in open(f"/proc/{member.pid}/io"):
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
        return total


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


# MARK: a client for one method
#
# Just enough of HTTP/2 (RFC 9113) and gRPC to put many keys at once over one connection with little work of our own: the client runs on
# the same cores as what it measures. A put that etcd refuses is answered without a message, and counts as failed.

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes((number,))


class Connection:
    def __init__(self, port):
        deadline = time.monotonic() + 20
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 1)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("etcd.py: etcd does not listen after 20 seconds")
                time.sleep(0.1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.out = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"") + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1 - 65_535)))
        self.buffer = bytearray()
        self.window = 65_535
        self.next = 1
        self.waiting = {}  # stream: when it was meant to go out
        self.answered = set()
        self.authority = f"127.0.0.1:{port}".encode()

    def headers(self):
        if self.next > 1:
            return b"\x83\x86\xc1\xc0\xbf\xbe"  # as the first time: entries of the dynamic table
        def literal(name_index, value, name=None):
            start = bytes((0x40 | name_index,)) if name is None else b"\x40" + bytes((len(name),)) + name
            return start + bytes((len(value),)) + value
        return (b"\x83\x86" + literal(4, b"/etcdserverpb.KV/Put") + literal(1, self.authority) + literal(31, b"application/grpc") + literal(0, b"trailers", b"te"))

    def room(self, size):
        return self.window >= size and len(self.out) < 1 << 20

    def put(self, message, due):
        body = b"\0" + struct.pack(">I", len(message)) + message
        self.out += frame(HEADERS, 4, self.next, self.headers()) + frame(DATA, 1, self.next, body)
        self.window -= len(body)
        self.waiting[self.next] = due
        self.next += 2

    def write(self):
        while self.out:
            try:
                sent = self.socket.send(memoryview(self.out)[:1 << 18])
            except BlockingIOError:
                return
            del self.out[:sent]

    def read(self, done):
        """Calls done(due, succeeded) for each put that was answered."""
        while True:
            try:
                piece = self.socket.recv(1 << 18)
            except BlockingIOError:
                break
            if not piece:
                raise SystemExit("etcd.py: etcd closed the connection")
            self.buffer += piece
            if len(piece) < 1 << 18:
                break
        at, buffer = 0, self.buffer
        while len(buffer) - at >= 9:
            size = int.from_bytes(buffer[at:at + 3], "big")
            if len(buffer) - at < 9 + size:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            stream = int.from_bytes(buffer[at + 5:at + 9], "big")
            if kind == DATA:
                if size > 0:
                    self.answered.add(stream)
            elif kind == WINDOW_UPDATE:
                if stream == 0:
                    self.window += int.from_bytes(buffer[at + 9:at + 13], "big")
            elif kind == PING and not flags & 1:
                self.out += frame(PING, 1, 0, bytes(buffer[at + 9:at + 9 + size]))
            elif kind == SETTINGS and not flags & 1:
                self.out += frame(SETTINGS, 1, 0, b"")
            elif kind == GOAWAY:
                raise SystemExit("etcd.py: etcd ends the connection")
            if kind in (DATA, HEADERS) and flags & 1 or kind == RST_STREAM:
                due = self.waiting.pop(stream, None)
                if due is not None:
                    done(due, stream in self.answered)
                self.answered.discard(stream)
            at += 9 + size
        del buffer[:at]


def put_message(key, value):
    return b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value)) + value


def measure_etcd(program, home, bytes_each, seconds, warm_up, rate=None, outstanding=None):
    """Open loop at a rate, or as fast as `outstanding` puts at a time go."""
    folder = tempfile.mkdtemp(prefix="etcd-", dir=home)
    etcd = Etcd(program, folder)
    try:
        connections = [Connection(port) for port in etcd.clients]
        noise = os.urandom(1 << 20)
        number = 0

        def message():
            nonlocal number
            number += 1
            start = number * 7919 % (len(noise) - bytes_each)
            return put_message(b"%016d" % number, noise[start:start + bytes_each])

        # A first put on each connection: there is a leader once they are answered.
        answers = []
        deadline = time.monotonic() + 30
        while len(answers) < len(connections):
            for connection in connections:
                if not connection.waiting and connection.next < 3 + 2 * 200 and not any(a is connection for a in answers):
                    connection.put(message(), connection)
                connection.write()
                connection.read(lambda who, good: answers.append(who) if good and not any(a is who for a in answers) else None)
            if time.monotonic() > deadline:
                raise SystemExit("etcd.py: etcd has no leader after 30 seconds: " + open(os.path.join(folder, "m0.log")).read()[-400:])
            time.sleep(0.02)

        selector = selectors.DefaultSelector()
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        start = time.monotonic() + 0.1
        first, last = start + warm_up, start + warm_up + seconds
        latencies, failed, committed, offered, sent, in_flight = [], 0, 0, 0, 0, 0
        usage = None

        def done(due, good):
            nonlocal failed, committed, in_flight
            now = time.monotonic()
            in_flight -= 1
            if not good:
                failed += 1
                return
            if first <= now < last:
                committed += 1
            if first <= due < last:
                latencies.append(now - due)

        size = bytes_each + 64
        while True:
            now = time.monotonic()
            if usage is None and now >= first:
                usage = (etcd.cpu_seconds(), etcd.written_bytes(), time.process_time())
            if now >= last:
                break
            for turn in range(len(connections)):
                connection = connections[(sent + turn) % len(connections)]
                while connection.room(size):
                    if rate is not None:
                        due = start + sent / rate
                        if due > now:
                            break
                    else:
                        due = now
                        if in_flight >= outstanding or len(connection.waiting) > outstanding // len(connections):
                            break
                    if first <= due < last:
                        offered += 1
                    connection.put(message(), due)
                    sent += 1
                    in_flight += 1
                    if rate is not None:
                        connection = connections[sent % len(connections)]
                connection.write()
            for connection in connections:
                connection.write()
            for key, _ in selector.select(0.001):
                key.data.read(done)
        used = (etcd.cpu_seconds() - usage[0], etcd.written_bytes() - usage[1], time.process_time() - usage[2])
        # Those under way count for the latency.
        deadline = time.monotonic() + 10
        while in_flight > 0 and time.monotonic() < deadline:
            for connection in connections:
                connection.write()
            for key, _ in selector.select(0.01):
                key.data.read(done)
        latencies.sort()

        def at(share):
            return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000 if latencies else 0.0

        return {
            "offeredPerSecond": rate if rate is not None else offered / seconds, "committedPerSecond": committed / seconds, "failed": failed + in_flight,
            "latencyMilliseconds": {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99)},
            "cpuMicrosecondsPerTransaction": used[0] * 1e6 / max(1, committed), "clientMicrosecondsPerTransaction": used[2] * 1e6 / max(1, committed),
            "diskBytesPerTransaction": used[1] / max(1, committed),
        }
    finally:
        etcd.stop()
        shutil.rmtree(folder, ignore_errors=True)


# MARK: Assay


def measure_assay(program, home, bytes_each, seconds, warm_up, rate, options):
    folder = os.path.join(tempfile.mkdtemp(prefix="assay-", dir=home), "net")
    try:
        run = subprocess.run(
            [program, "bench", "consensus", "--validators", "4", "--rate", str(rate), "--seconds", str(seconds), "--warm-up", str(warm_up), "--bytes", str(bytes_each),
             "--home", folder, "--json", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if run.returncode != 0:
            raise SystemExit(f"etcd.py: assay failed: {run.stderr.strip()[-400:]}")
        return json.loads(run.stdout)
    finally:
        shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


# MARK: both


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--assay", default=".build/release/assay", help="the program")
    parser.add_argument("--etcd", default=shutil.which("etcd") or "etcd", help="etcd's server")
    parser.add_argument("--home", default=".build/bench", help="directory for both's files, on the disk that is to be measured")
    parser.add_argument("--pairs", type=int, default=3, help="repetitions, of which the medians count")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--warm-up", type=float, default=4)
    parser.add_argument("--bytes", type=int, default=512, help="of a transaction, or of a value")
    parser.add_argument("--rate", type=float, default=20_000, help="transactions a second offered to Assay in the first question")
    parser.add_argument("--outstanding", type=int, default=1_500, help="puts that wait at a time in etcd's first question")
    parser.add_argument("--common-rate", type=float, default=None, help="offered to both in the second question; by default a quarter of --rate")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    arguments = parser.parse_args()
    for program, remedy in ((arguments.assay, "build it with: make build"), (arguments.etcd, "Debian: apt-get install etcd-server")):
        if shutil.which(program) is None:
            raise SystemExit(f"etcd.py: no program {program}; {remedy}")
    os.makedirs(arguments.home, exist_ok=True)
    common = arguments.common_rate or arguments.rate / 4
    shape = (arguments.home, arguments.bytes, arguments.seconds, arguments.warm_up)
    questions = {
        "assay, most": lambda: measure_assay(arguments.assay, *shape, arguments.rate, []),
        "etcd, most": lambda: measure_etcd(arguments.etcd, *shape, outstanding=arguments.outstanding),
        "assay, common": lambda: measure_assay(arguments.assay, *shape, common, []),
        "etcd, common": lambda: measure_etcd(arguments.etcd, *shape, rate=common),
    }
    results = {name: [] for name in questions}
    for pair in range(arguments.pairs):
        # Every other pair the other way round, so that a machine that slows down favours nobody.
        for name in list(questions) if pair % 2 == 0 else list(questions)[::-1]:
            result = questions[name]()
            results[name].append(result)
            latency = result["latencyMilliseconds"]
            print(f"pair {pair + 1}, {name}: {result['committedPerSecond']:.0f}/s, p50 {latency['p50']:.0f} ms, p99 {latency['p99']:.0f} ms", file=sys.stderr, flush=True)

    def median(name, pick):
        return statistics.median(pick(result) for result in results[name])

    facts = {}
    for name in questions:
        facts[name] = {
            "offered": median(name, lambda r: r["offeredPerSecond"]), "committed": median(name, lambda r: r["committedPerSecond"]),
            **{p: median(name, lambda r, p=p: r["latencyMilliseconds"][p]) for p in ("p50", "p90", "p99")},
            "cpu": median(name, lambda r: r["cpuMicrosecondsPerTransaction"]), "disk": median(name, lambda r: r["diskBytesPerTransaction"]),
        }
    print(f"{os.cpu_count()} cores, {arguments.bytes}-byte values, {arguments.pairs} pairs of {arguments.seconds:.0f} s; medians")
    print(f"{'':16}{'offered/s':>10}{'done/s':>10}{'p50 ms':>9}{'p90 ms':>9}{'p99 ms':>9}{'CPU us':>8}{'disk B':>8}")
    for name, fact in facts.items():
        print(f"{name:16}{fact['offered']:10.0f}{fact['committed']:10.0f}{fact['p50']:9.0f}{fact['p90']:9.0f}{fact['p99']:9.0f}{fact['cpu']:8.0f}{fact['disk']:8.0f}")
    ratios = {
        "rate": facts["assay, most"]["committed"] / max(1e-9, facts["etcd, most"]["committed"]),
        **{p: facts["assay, common"][p] / max(1e-9, facts["etcd, common"][p]) for p in ("p50", "p99")},
        "cpu": facts["assay, common"]["cpu"] / max(1e-9, facts["etcd, common"]["cpu"]),
    }
    print(f"assay : etcd    rate {ratios['rate']:.2f}    at {common:.0f}/s: p50 {ratios['p50']:.2f}, p99 {ratios['p99']:.2f}, CPU {ratios['cpu']:.2f}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"medians": facts, "ratios": ratios, "all": results}, file, indent=2, sort_keys=True)


if __name__ == "__main__":
    main()
