#include "store/managed_postgres.hpp"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "store/connection.hpp"
#include "store/migrate.hpp"
#include "store/process.hpp"
#include "support/postgres_fixture.hpp"

namespace fallow::store {
namespace {

namespace fs = std::filesystem;

struct Folder {
    fs::path path;
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "fallow-managed-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
};

ManagedPostgresSettings in(const fs::path& directory) {
    return {.directory = directory, .durable = false, .die_with_parent = true};
}

std::string one(Connection& connection, const std::string& sql) {
    return connection.exec(sql)[0][0].c_str();
}

TEST_CASE("a managed PostgreSQL keeps its data over a restart and has a private socket alone",
          "[managed]") {
    const Folder folder;
    {
        ManagedPostgres postgres(in(folder.path / "postgres"));
        CHECK_FALSE(postgres.adopted());
        CHECK(migrate(postgres.superuser_url()) == static_cast<int>(migrations().size()));
        Connection superuser({.url = postgres.superuser_url()});
        CHECK(one(superuser, "SHOW listen_addresses").empty());
        CHECK(one(superuser, "SHOW synchronous_commit") == "on");
        superuser.exec("CREATE TABLE kept AS SELECT 42 AS answer");
        Connection login({.url = postgres.url()});
        CHECK(one(login, "SELECT current_user") == "fallow");
        struct stat sockets {};
        REQUIRE(stat(one(superuser, "SHOW unix_socket_directories").c_str(), &sockets) == 0);
        CHECK((sockets.st_mode & 0777) == 0700);
    }
    ManagedPostgres postgres(in(folder.path / "postgres"));
    CHECK_FALSE(postgres.adopted());
    Connection superuser({.url = postgres.superuser_url()});
    CHECK(one(superuser, "SELECT answer FROM kept") == "42");
}

TEST_CASE("a second owner of one folder is refused while the first lives", "[managed]") {
    const Folder folder;
    const ManagedPostgres first(in(folder.path / "postgres"));
    CHECK_THROWS_WITH(ManagedPostgres(in(folder.path / "postgres")),
                      Catch::Contains("another process runs"));
}

TEST_CASE("an instance that a killed owner left running is adopted and can be stopped", "[managed]") {
    const Folder folder;
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    const pid_t owner = fork();
    if (owner == 0) {
        // The owner that will be killed: it has no time to stop anything.
        try {
            ManagedPostgresSettings settings = in(folder.path / "postgres");
            settings.die_with_parent = false;
            const ManagedPostgres postgres(settings);
            const int process = postgres.process_id();
            if (write(ready[1], &process, sizeof process) != sizeof process) _exit(1);
            while (true)
                pause();
        } catch (...) {
            _exit(1);
        }
    }
    close(ready[1]);
    int process = 0;
    REQUIRE(read(ready[0], &process, sizeof process) == sizeof process);
    close(ready[0]);
    REQUIRE(kill(owner, SIGKILL) == 0);
    static_cast<void>(wait_for_child(owner));

    ManagedPostgres postgres(in(folder.path / "postgres"));
    CHECK(postgres.adopted());
    CHECK(postgres.process_id() == process);
    Connection superuser({.url = postgres.superuser_url()});
    CHECK(one(superuser, "SELECT 1") == "1");
    postgres.stop();
    CHECK(wait_for_end(process, seconds(0)));
    CHECK_THROWS_AS(superuser.exec("SELECT 1"), DatabaseError);
    CHECK(superuser.is_broken());
}

TEST_CASE("an instance that was killed, and whose process number another has now, is started anew",
          "[managed]") {
    const Folder folder;
    const fs::path pid_file = folder.path / "postgres/data/postmaster.pid";
    std::string lines;
    {
        ManagedPostgres postgres(in(folder.path / "postgres"));
        Connection superuser({.url = postgres.superuser_url()});
        superuser.exec("CREATE TABLE kept AS SELECT 42 AS answer; CHECKPOINT");
        std::ifstream file(pid_file);
        std::getline(file, lines);
        std::getline(file, lines, '\0');
        REQUIRE(kill(postgres.process_id(), SIGKILL) == 0);
        REQUIRE(wait_for_end(postgres.process_id(), seconds(60)));
    }
    // A process of the same user, which is what makes PostgreSQL refuse.
    const OsUser user = geteuid() == 0 ? user_named("postgres") : current_user();
    const pid_t stranger =
        spawn({.arguments = {"/bin/sleep", "600"}, .user = user, .output = folder.path / "log"});
    std::ofstream(pid_file) << stranger << "\n" << lines;
    {
        const ManagedPostgres postgres(in(folder.path / "postgres"));
        CHECK_FALSE(postgres.adopted());
        Connection superuser({.url = postgres.superuser_url()});
        CHECK(one(superuser, "SELECT answer FROM kept") == "42");
    }
    CHECK_FALSE(try_wait_for_child(stranger));  // nobody harmed it
    REQUIRE(kill(stranger, SIGKILL) == 0);
    static_cast<void>(wait_for_child(stranger));
}

TEST_CASE("a folder whose path is too long for a socket gets a short one for its sockets", "[managed]") {
    const Folder folder;
    // Deeper than the one folder that is the server's own, which it opens for passing by itself.
    REQUIRE(chmod(folder.path.c_str(), 0711) == 0);
    const ManagedPostgres postgres(in(folder.path / std::string(100, 'd') / "postgres"));
    Connection superuser({.url = postgres.superuser_url()});
    const std::string sockets = one(superuser, "SHOW unix_socket_directories");
    CHECK(sockets.size() < 80);
    fs::remove_all(sockets);
}

TEST_CASE("a start that fails says why", "[managed]") {
    const Folder folder;
    { const ManagedPostgres postgres(in(folder.path / "postgres")); }
    fs::remove(folder.path / "postgres/data/global/pg_control");
    CHECK_THROWS_WITH(ManagedPostgres(in(folder.path / "postgres")), Catch::Contains("pg_control"));
}

}  // namespace
}  // namespace fallow::store
