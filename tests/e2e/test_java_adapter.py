"""Compiles and tests the manual's adapter in Java, if Debian's packages for Java are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.foreign_adapter import PROTOS, keeps_every_rule, listing

DEBIAN = Path(os.environ.get("GENERIC_PROVIDER_TEST_JAVA", "/"))
"""The root of the packages: `/` if they are installed, or the folder in which `dpkg -x` has
unpacked them.
"""
JARS = DEBIAN / "usr/share/java"
PLUGIN = DEBIAN / "usr/bin/grpc_java_plugin"
PROTOC = DEBIAN / "usr/bin/protoc"
SHORT_LIVED = "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"
"""With these options a program that runs only briefly needs half as much CPU time."""
# With these changes of the adapter, `adapter check` can test every rule.
CHANGES = (
    ('"localhost:50051"', 'System.getenv("GENERIC_PROVIDER_SERVER")'),
    (
        "LEASE = 30, SILENCE = 30, QUIET = 12, DOWN = 10,",
        "LEASE = 3, SILENCE = 30, QUIET = 12, DOWN = 1,",
    ),
    (
        "            case REQUEST_TYPE_ACTIVATE_SERVICE:\n",
        """            case REQUEST_TYPE_UPDATE_ADDRESS:
                Thread.sleep(2000);
                return "";
            case REQUEST_TYPE_ACTIVATE_SERVICE:
                String service = request.getService().getService();
                if (service.equals("FILM")) throw new Refused("E42", "no");
                if (service.equals("PPV")) throw new PlatformDown();
""",
    ),
)


@pytest.fixture
def classpath(tmp_path: Path) -> str:
    """Compiles the stubs, and returns the class path with them and the libraries."""
    if not (PLUGIN.exists() and PROTOC.exists() and shutil.which("javac")):
        pytest.skip(
            "needs Debian's openjdk-17-jdk-headless, protobuf-compiler, libgrpc-java and "
            "protobuf-compiler-grpc-java-plugin"
        )
    stubs, classes = tmp_path / "stubs", tmp_path / "classes"
    stubs.mkdir()
    command = [str(PROTOC), f"--proto_path={PROTOS}", f"--proto_path={DEBIAN}/usr/include"]
    command += [f"--plugin=protoc-gen-grpc-java={PLUGIN}"]
    command += [f"--java_out={stubs}", f"--grpc-java_out={stubs}"]
    command += [str(each) for each in (PROTOS / "generic_provider/v1").glob("*.proto")]
    libraries = {"LD_LIBRARY_PATH": f"{DEBIAN}/usr/lib/x86_64-linux-gnu"}
    subprocess.run(command, check=True, env={**os.environ, **libraries})
    jars = {
        jar.name: jar for folder in (Path("/usr/share/java"), JARS) for jar in folder.glob("*.jar")
    }
    wanted = re.compile(
        r"(grpc|proto|guava|failureaccess|jsr305|netty|perfmark|opencensus|gson|geronimo-annotation)"
    )
    path = ":".join([str(jar) for name, jar in jars.items() if wanted.match(name)] + [str(classes)])
    _compile(path, classes, *map(str, stubs.rglob("*.java")))
    return path


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_the_java_adapter_keeps_every_rule(classpath: str, tmp_path: Path) -> None:
    source = tmp_path / "RawAdapter.java"
    source.write_text(listing("java", CHANGES))
    _compile(classpath, tmp_path / "classes", str(source))

    await keeps_every_rule(
        *("java", *SHORT_LIVED, "-cp", classpath, "example.RawAdapter"), log=tmp_path / "java.log"
    )


def _compile(classpath: str, classes: Path, *sources: str) -> None:
    command = ["javac", *[f"-J{option}" for option in SHORT_LIVED], "-nowarn"]
    command += ["-d", str(classes), "-cp", classpath, *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
