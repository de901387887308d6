"""./run demo: the product's main job on this machine, through the same programs a seller, a renter and an admin use.

A managed PostgreSQL, fallowd, an agent on this machine's own device, an image made on the spot, a renter with a
deposit, a job that computes on an input file, its log streamed live, its output fetched; then the receipt verified
offline, the charge recomputed from the signed usage, and the ledger proved by the program that shares no code with
it. With --json the last line is one JSON document; the exit code is 0 only if all of it is true. Nothing is left
running.
"""
import argparse
import datetime
import hashlib
import json
import os
import subprocess
import sys

from world import SOURCE, Events, Failure, World

IMAGE = "localhost/fallow-demo:1"
# Counts the primes below each input number by trial division, in the container's own awk: real work for a few seconds.
PROGRAM = r"""
echo "the job begins on $(nproc) core(s)"
awk 'function primes(n,   c, i, j, whole) {
         c = 0
         for (i = 2; i <= n; i++) {
             whole = 1
             for (j = 2; j * j <= i; j++) if (i % j == 0) { whole = 0; break }
             c += whole
         }
         return c
     }
     { print $1, primes($1); printf "%s done\n", $1 > "/dev/stderr" }' /work/in/limits.txt > /work/out/primes.txt
echo "the job ends"
"""


class Demo:
    def __init__(self, world, quiet):
        self.world = world
        self.quiet = quiet
        self.step_number = 0

    def say(self, text):
        if not self.quiet:
            self.step_number += 1
            print(f"\n\033[1m{self.step_number}. {text}\033[0m", file=sys.stderr, flush=True)

    def fallow(self, key_file, *words, live=False, check=True, show=True):
        """Runs the CLI as a user would; returns its standard output."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.world.folder), "FALLOW_URL": self.world.url,
                       "FALLOW_CA": str(self.world.ca)}
        if key_file:
            environment["FALLOW_KEY_FILE"] = str(key_file)
        if show and not self.quiet:
            print("   $ fallow " + " ".join(self.shown(str(word)) for word in words), file=sys.stderr, flush=True)
        messages = None if live and not self.quiet else subprocess.PIPE
        done = subprocess.run([str(self.world.bin / "fallow"), *map(str, words)], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=messages, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            said = done.stdout + (done.stderr or "")
            raise Failure(f"fallow {' '.join(map(str, words[:4]))} ended with {done.returncode}: {said}")
        return done.stdout

    @staticmethod
    def shown(word):
        return word if len(word) < 60 and "\n" not in word else "'…'"

    def json(self, key_file, *words, **options):
        return json.loads(self.fallow(key_file, "-o", "json", *words, **options))

    def tenant(self, name, country, scopes):
        """An organization with a key file, made by the admin."""
        admin = self.world.data / "admin.key"
        organization = self.json(admin, "admin", "org", "create", "--name", name, "--country", country)
        key_file = self.world.folder / f"{name}.key"
        scope_words = [word for scope in scopes for word in ("--scope", scope)]
        self.fallow(admin, "admin", "key", "create", "--organization", organization["id"], "--name", "first",
                    *scope_words, "--out", key_file)
        return organization["id"], key_file

    def run(self):
        world = self.world
        self.say("A server with its own PostgreSQL, and a container engine with an image made on the spot")
        world.start_engine()
        world.make_image(IMAGE)
        world.start_server()

        self.say("The admin sets a fee of 5 %, makes a seller and a renter, and records the renter's deposit")
        admin = world.data / "admin.key"
        self.fallow(admin, "admin", "fee", "set", "5")
        _, seller = self.tenant("idle-cards", "DE", ["seller:read", "seller:write"])
        renter_id, renter = self.tenant("curious-minds", "FR", ["renter:read", "renter:write"])
        self.fallow(admin, "admin", "deposit", "--organization", renter_id, "--amount", "20", "--reference", "demo")

        self.say("The seller enrols this machine; its agent finds and measures the device")
        listing, card = self.list_this_machine(seller)

        self.say("The renter runs a job: input up, order, log as it comes, output down")
        job, output = self.run_job(renter, listing)

        self.say("The receipt verifies offline, and the charge follows from the signed usage")
        lease = self.json(renter, "lease", "show", job["lease_id"])
        receipt_verified = self.verify_receipt(renter, lease)

        self.say("The ledger is proved by a program that shares no code with it")
        balanced = self.prove_ledger()
        return {
            "job": job["state"],
            "exit_code": job["exit_code"],
            "output_sha256_matches": hashlib.sha256(output).hexdigest() == hashlib.sha256(self.expected()).hexdigest(),
            "receipt_verified": receipt_verified,
            "ledger_balanced": balanced,
            "charged_micros": lease["charged_micros"],
            "order_to_running_ms": self.order_to_running_ms(renter, lease),
            "device": card["product"],
        }

    def list_this_machine(self, seller):
        world = self.world
        events = Events(world, seller.read_text().strip())
        token = world.folder / "this-machine.token"
        self.fallow(seller, "host", "token", "--name", "this-machine", "--country", "DE", "--out", token)
        world.enroll(None, "this-machine", token=token.read_text())
        world.start_agent("this-machine")
        host = events.wait(lambda e: e["type"] == "host.online", "the host to come online", 120)["object"]["id"]
        events.wait(lambda e: e["type"] in ("card.found", "card.changed") and e["data"]["measured_at"],
                    "a measured card", 120)
        events.close()
        cards = self.json(seller, "host", "cards", host)
        card = next(card for card in cards if card["capacity"])
        if not self.quiet:
            print(self.fallow(seller, "host", "cards", host, show=False), file=sys.stderr)
        listing = self.json(seller, "listing", "create", "--host", host, "--card", card["id"], "--ask", "2.50")
        return listing, card

    def limits(self):
        return [20_000 + 137 * n for n in range(12)]

    def expected(self):
        """What the job must return, computed here by a sieve: another way to the same numbers."""
        top = max(self.limits()) + 1
        sieve = bytearray([1]) * top
        sieve[0:2] = b"\0\0"
        for n in range(2, int(top ** 0.5) + 1):
            if sieve[n]:
                sieve[n * n::n] = bytes(len(range(n * n, top, n)))
        return "".join(f"{limit} {sum(sieve[:limit + 1])}\n" for limit in self.limits()).encode()

    def run_job(self, renter, listing):
        folder = self.world.folder / "renter"
        folder.mkdir()
        (folder / "limits.txt").write_text("".join(f"{limit}\n" for limit in self.limits()))
        job = json.loads(self.fallow(
            renter, "-o", "json", "job", "run", "--image", IMAGE, "--listing", listing["id"], "--price-max", "2.50",
            "--term", "1h", "--fill-or-kill", "--input", folder / "limits.txt", "--output", "primes.txt", "--to",
            folder / "out", "--", "/bin/sh", "-c", PROGRAM, live=True))
        # The job ends before its host has scrubbed; the lease is settled by then.
        output = (folder / "out/primes.txt").read_bytes()
        if not self.quiet:
            print("   primes.txt: " + output.decode().splitlines()[-1], file=sys.stderr)
        return job, output

    def verify_receipt(self, renter, lease):
        file = self.world.folder / "receipt.json"
        file.write_text(self.fallow(renter, "-o", "json", "receipt", "show", lease["id"]))
        report = self.fallow(None, "receipt", "verify", "--server-key", self.world.data / "server_signing.pub", file)
        if not self.quiet:
            print(report, file=sys.stderr)
        usage = json.loads(self.fallow(renter, "-o", "json", "lease", "usage", lease["id"]))
        statement = usage[-1]
        recomputed = (lease["price_micros_per_hour"] * lease["thousandths"] * statement["accepted_running_ms"]
                      // 3_600_000_000)
        return recomputed == lease["charged_micros"] and lease["charged_micros"] > 0

    def prove_ledger(self):
        code, report = self.world.prove_ledger()
        if not self.quiet:
            print("   $ fallow-ledger-proof --json\n   " + json.dumps(report), file=sys.stderr)
        admin = json.loads(self.fallow(self.world.data / "admin.key", "-o", "json", "admin", "ledger", show=False))
        return code == 0 and report["balanced"] and admin["balanced"]

    def order_to_running_ms(self, renter, lease):
        order = self.json(renter, "order", "show", lease["order_id"], show=False)
        moment = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return round((moment(lease["running_at"]) - moment(order["placed_at"])).total_seconds() * 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print nothing but one JSON line")
    parser.add_argument("--bin", default=str(SOURCE / "build/release/bin"), help="where the programs are")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs and data")
    options = parser.parse_args()
    try:
        with World(options.bin, keep=options.keep) as world:
            result = Demo(world, options.json).run()
    except Failure as failure:
        print(f"demo: {failure}", file=sys.stderr)
        sys.exit(1)
    fine = (result["job"] == "succeeded" and result["exit_code"] == 0 and result["output_sha256_matches"] and
            result["receipt_verified"] and result["ledger_balanced"])
    if not options.json:
        print(f"\nAll of it is {'true' if fine else 'NOT true'}; nothing is left running.", file=sys.stderr)
    print(json.dumps(result, separators=(",", ":"), ensure_ascii=False))
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
