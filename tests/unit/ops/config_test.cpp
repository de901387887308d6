#include "ops/config.hpp"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <fstream>

using namespace fallow;
using namespace fallow::ops;

namespace {

std::string detail_of(const Status& status) {
    REQUIRE_FALSE(status.ok());
    return status.error().detail;
}

}  // namespace

TEST_CASE("the defaults are those of the design and do not contradict each other", "[config]") {
    const Config config;
    CHECK(check(config).ok());
    CHECK(config.heartbeat_interval_ms == 5000);
    CHECK(config.heartbeat_timeout_ms == 2000);
    CHECK(config.fence_ms == 10'000);
    CHECK(config.host_lost_ms == 15'000);
    CHECK(config.host_lost_declared_ms == 20'000);
    CHECK(config.pull_ms == 20 * 60'000);
    CHECK(config.start_ms == 2 * 60'000);
    CHECK(config.hold_ms == 30 * 60'000);
    CHECK(config.listen_address == "127.0.0.1");
    CHECK(config.listen_port == 8443);
}

TEST_CASE("each broken relation is refused with the settings' names", "[config]") {
    struct Row {
        std::vector<std::pair<std::string, std::string>> values;
        std::vector<std::string> named;
    };
    const Row rows[] = {
        {{{"heartbeat_interval_ms", "6001"}},
         {"heartbeat_interval_ms", "heartbeat_timeout_ms", "fence_ms"}},
        {{{"fence_ms", "8999"}}, {"heartbeat_interval_ms", "(9000 ms)", "fence_ms (8999 ms)"}},
        {{{"host_lost_ms", "14000"}},
         {"confirm_ms", "fence_ms", "kill_ms (14000 ms)", "host_lost_ms (14000 ms)"}},
        {{{"kill_ms", "3000"}}, {"kill_ms", "host_lost_ms"}},
        {{{"host_lost_declared_ms", "14999"}}, {"host_lost_ms", "host_lost_declared_ms"}},
        {{{"heartbeat_interval_ms", "1000"}, {"heartbeat_timeout_ms", "1001"}}, {"overtake"}},
        {{{"leader_beat_ms", "750"}}, {"leader_takeover_ms", "leader_beat_ms"}},
        {{{"leader_beat_ms", "2000"}, {"leader_takeover_ms", "5000"}}, {"confirm_ms"}},
        {{{"usage_interval_ms", "2000"}, {"hold_ms", "1999"}}, {"usage_interval_ms", "hold_ms"}},
        {{{"engine_batch_max", "5000"}}, {"engine_batch_max", "engine_queue_max"}},
        {{{"log_level", "loud"}}, {"log_level"}},
        {{{"market", ""}}, {"market"}},
        {{{"data_folder", ""}}, {"data_folder"}},
        {{{"listen_address", ""}}, {"listen_address"}},
        {{{"proxy_addresses", "198.41.0.4,balancer.example"}}, {"proxy_addresses"}},
        {{{"proxy_addresses", "198.41.0.4:443"}}, {"proxy_addresses"}},
        {{{"proxy_addresses", "2a01:4f8:1:2:0:0:0:3"}}, {"proxy_addresses", "2a01:4f8:1:2::3"}},
        {{{"apps_domain", "Apps.example.org"}}, {"apps_domain", "lower case"}},
        {{{"apps_domain", "apps.example.org:8443"}}, {"apps_domain"}},
        {{{"apps_domain", "apps"}}, {"apps_domain"}},
        {{{"apps_domain", "a.example"}, {"tls_names", "x.a.example"}}, {"tls_names"}},
        {{{"apps_domain", "a.example"}, {"tls_names", "a.example"}}, {"tls_names"}},
        {{{"apps_domain", "a.example"}, {"apps_key_file", "k"}}, {"apps_certificate_file"}},
        {{{"apps_certificate_file", "c"}, {"apps_key_file", "k"}}, {"apps_domain"}},
    };
    for (const Row& row : rows) {
        Config config;
        for (const auto& [name, value] : row.values)
            REQUIRE(apply(config, name, value).ok());
        const std::string detail = detail_of(check(config));
        for (const std::string& word : row.named)
            CHECK_THAT(detail, Catch::Contains(word));
    }
}

TEST_CASE("at its edge a relation still holds", "[config]") {
    Config config;
    REQUIRE(apply(config, "heartbeat_interval_ms", "6000").ok());
    CHECK(check(config).ok());
    REQUIRE(apply(config, "host_lost_ms", "14001").ok());
    CHECK(check(config).ok());
    REQUIRE(apply(config, "proxy_addresses", "198.41.0.4,2a01:4f8:1:2::3").ok());
    CHECK(check(config).ok());
    REQUIRE(apply(config, "apps_domain", "a.example").ok());
    REQUIRE(apply(config, "tls_names", "example,xa.example").ok());
    CHECK(check(config).ok());
}

TEST_CASE("values are set from text", "[config]") {
    Config config;
    REQUIRE(apply(config, "listen_port", "0").ok());
    REQUIRE(apply(config, "market", "eu-1").ok());
    REQUIRE(apply(config, "tls_names", "a.example,,10.0.0.1").ok());
    CHECK(config.listen_port == 0);
    CHECK(config.market == "eu-1");
    CHECK(config.tls_names == std::vector<std::string>{"a.example", "10.0.0.1"});
    REQUIRE(apply(config, "tls_names", "").ok());
    CHECK(config.tls_names.empty());
}

TEST_CASE("a value out of bounds or of another kind changes nothing", "[config]") {
    for (const std::string value :
         {"", "abc", "1.5", "65536", "-1", " 1", "1 ", "99999999999999999999", "0x10"}) {
        Config config;
        INFO(value);
        CHECK_THAT(detail_of(apply(config, "listen_port", value)),
                   Catch::Contains("listen_port must be a whole number from 0 to 65535"));
        CHECK(config == Config{});
    }
}

TEST_CASE("an unknown setting names the nearest known one", "[config]") {
    Config config;
    const Status status = apply(config, "hartbeat_interval_ms", "1");
    CHECK_THAT(detail_of(status), Catch::Contains("the nearest is \"heartbeat_interval_ms\""));
    CHECK(status.error().code == ErrorCode::unknown_field);
    CHECK_THAT(detail_of(apply(config, "port", "1")), Catch::Contains("listen_port"));
}

TEST_CASE("a TOML document sets what it names", "[config]") {
    Config config;
    const Status status = apply_toml(config, R"(
# a comment
listen_port = 9443
market = "eu"          # another
tls_names = ["a.example", "b.example"]
hold_ms = 3_600_000
)",
                                     "fallow.toml");
    REQUIRE(status.ok());
    CHECK(config.listen_port == 9443);
    CHECK(config.market == "eu");
    CHECK(config.tls_names == std::vector<std::string>{"a.example", "b.example"});
    CHECK(config.hold_ms == 3'600'000);
    CHECK(config.workers == Config{}.workers);
}

TEST_CASE("an error in a TOML document tells its line and applies nothing", "[config]") {
    struct Row {
        std::string text;
        std::string detail;
    };
    const Row rows[] = {
        {"market = \"eu\"\nlisten_prot = 1\n",
         "f.toml:2: There is no setting \"listen_prot\"; the nearest is \"listen_port\""},
        {"market = \"eu\"\n\nlisten_port = \"1\"\n", "f.toml:3: listen_port must be a whole number"},
        {"market = \"eu\"\nlisten_port = 1.0\n", "listen_port must be a whole number"},
        {"market = \"eu\"\nlisten_port = 70000\n",
         "f.toml:2: listen_port must be a whole number from 0 to 65535, and is 70000"},
        {"market = 5\n", "market must be a string"},
        {"tls_names = \"a\"\n", "tls_names must be an array of strings"},
        {"tls_names = [\"a\", 1]\n", "tls_names must be an array of strings"},
        {"[server]\nlisten_port = 1\n", "There is no setting \"server\""},
        {"market = \"eu\"\nlisten_port = \n", "f.toml:2:"},
        {"market = \"eu\"\nmarket = \"us\"\n", "f.toml:2:"},
    };
    for (const Row& row : rows) {
        Config config;
        INFO(row.text);
        CHECK_THAT(detail_of(apply_toml(config, row.text, "f.toml")), Catch::Contains(row.detail));
        CHECK(config == Config{});
    }
}

TEST_CASE("a configuration file is read, and a missing one is an error", "[config]") {
    std::string path = (std::filesystem::temp_directory_path() / "fallow-config-XXXXXX").string();
    const int descriptor = ::mkstemp(path.data());
    REQUIRE(descriptor >= 0);
    std::ofstream(path) << "workers = 9\n";
    Config config;
    CHECK(apply_toml_file(config, path).ok());
    CHECK(config.workers == 9);
    std::filesystem::remove(path);
    CHECK_THAT(detail_of(apply_toml_file(config, path)), Catch::Contains(path));
    CHECK_FALSE(apply_toml_file(config, std::filesystem::temp_directory_path()).ok());
}

TEST_CASE("the environment sets what begins with FALLOW_", "[config]") {
    Config config;
    CHECK(apply_environment(config, {{"PATH", "/bin"},
                                     {"FALLOW_LISTEN_PORT", "1"},
                                     {"FALLOW_TLS_NAMES", "a,b"},
                                     {"FALLOW_URL", "https://x"},
                                     {"FALLOW_API_KEY", "x"},
                                     {"FALLOW_BIN_DIR", "x"},
                                     {"FALLOW_AGENT_NAME", "x"}})
              .ok());
    CHECK(config.listen_port == 1);
    CHECK(config.tls_names == std::vector<std::string>{"a", "b"});
    CHECK_THAT(detail_of(apply_environment(config, {{"FALLOW_LISTEN_PROT", "1"}})),
               Catch::StartsWith("FALLOW_LISTEN_PROT: ") && Catch::Contains("listen_port"));
    CHECK_THAT(detail_of(apply_environment(config, {{"FALLOW_WORKERS", "x"}})), Catch::Contains("workers"));
    CHECK_FALSE(apply_environment(config, {{"FALLOW_listen_port", "1"}}).ok());
}

TEST_CASE("the process's environment is given in pairs", "[config]") {
    REQUIRE(::setenv("FALLOW_TEST_PAIR", "a=b", 1) == 0);
    const auto environment = process_environment();
    ::unsetenv("FALLOW_TEST_PAIR");
    const std::pair<std::string, std::string> wanted("FALLOW_TEST_PAIR", "a=b");
    CHECK(std::find(environment.begin(), environment.end(), wanted) != environment.end());
}

TEST_CASE("the help names every setting with its default", "[config]") {
    const std::string help = config_help();
    for (const SettingHelp& row : settings()) {
        CHECK_THAT(help, Catch::Contains("  " + row.name + " "));
        CHECK_THAT(help, Catch::Contains(row.help));
        CHECK_FALSE(row.help.empty());
    }
    CHECK_THAT(help, Catch::Contains("8443"));
    CHECK(settings().front().environment == "FALLOW_LISTEN_ADDRESS");
}
