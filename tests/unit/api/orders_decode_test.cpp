#include "api/orders_decode.hpp"

#include <catch2/catch.hpp>

#include "api/job_decode.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

/// An order with `members` added.
std::string order(const std::string& members) {
    return R"({"price_max_micros_per_hour":2500000,"term_ms":3600000)" +
           (members.empty() ? "" : "," + members) + "}";
}

std::string job(const std::string& members) {
    return R"({"image":"docker.io/library/busybox:1.36","max_duration_ms":60000)" +
           (members.empty() ? "" : "," + members) + "}";
}

/// Without a quote the server's key plays no part.
Result<DecodedOrder> decode(const std::string& body) {
    static const auth::SigningKey key = auth::SigningKey::generate();
    return decode_order(body, key);
}

struct Refused {
    std::string body;
    ErrorCode code;
    std::string pointer;
};

constexpr auto some_artifact = "artifact_00000000000000000000000007";

}  // namespace

TEST_CASE("an order has its defaults") {
    const auto decoded = decode(order(""));
    REQUIRE(decoded.ok());
    const market::PlaceOrder& placed = decoded->command;
    CHECK(placed.count == 1);
    CHECK(placed.price_max == ledger::Price(2500000));
    CHECK(placed.term == hours(1));
    CHECK_FALSE(placed.fill_or_kill);
    CHECK(placed.pricing == market::OrderPricing::fixed);
    CHECK(placed.thousandths == 1000);
    CHECK(placed.hosts == 1);
    CHECK(placed.expires_in == days(7));
    CHECK_FALSE(placed.job.has_value());
    CHECK(decoded->inputs.empty());
}

TEST_CASE("an order is read in full") {
    const auto decoded = decode(order(
        R"("count":2,"fill_or_kill":true,"expires_in_ms":5000,
           "storage_micros_per_gib_month_max":70000,"egress_gib":3,"egress_micros_per_gib_max":10000,
           "overage_micros_max":500,"requirements":{"products":["H100"],
           "device_class":"gpu","vram_bytes_min":80,"countries":["DE"],"countries_excluded":["US"],
           "host_id":"host_00000000000000000000000001","query":"vram >= 80GiB"},"job":)" +
        job(R"("inputs":[{"path":"in.bin","artifact_id":")" + std::string(some_artifact) + R"("}])")));
    REQUIRE(decoded.ok());
    const market::Requirements& wanted = decoded->command.requirements;
    CHECK(decoded->command.count == 2);
    CHECK(decoded->command.fill_or_kill);
    CHECK(wanted.products == std::vector<std::string>{"H100"});
    CHECK(wanted.device_class == market::DeviceClass::gpu);
    CHECK(wanted.vram_bytes_min == 80);
    CHECK(wanted.countries == std::vector<std::string>{"DE"});
    CHECK(wanted.countries_excluded == std::vector<std::string>{"US"});
    CHECK(wanted.host == HostId(RawId{0, 1}));
    CHECK(wanted.query == "vram >= 80GiB");
    CHECK(wanted.compiled != nullptr);
    REQUIRE(decoded->command.job.has_value());
    CHECK(decoded->command.job->image == "docker.io/library/busybox:1.36");
    CHECK(decoded->command.job->storage_bytes == 1 << 30);
    CHECK(decoded->command.storage_price_max == ledger::Micros(70'000));
    CHECK(decoded->command.egress_gib == 3);
    CHECK(decoded->command.egress_price_max == ledger::Micros(10'000));
    CHECK(decoded->command.overage_max == ledger::Micros(500));
    CHECK(decoded->inputs == std::vector<ArtifactId>{ArtifactId(RawId{0, 7})});
}

TEST_CASE("a job's document is canonical and reads back as itself") {
    const auto spec = decode_job_spec(
        job(R"("command":["sh","-c","echo \"hi\"\n"],"env":{"B":"2","A":""},"outputs":["o"])"));
    REQUIRE(spec.ok());
    const std::string document = job_spec_json(*spec);
    CHECK(
        document ==
        R"({"image":"docker.io/library/busybox:1.36","command":["sh","-c","echo \"hi\"\n"],)"
        R"("env":{"A":"","B":"2"},)"
        R"("inputs":[],"outputs":["o"],"max_duration_ms":60000,"attempts_max":1,"memory_bytes":1073741824,)"
        R"("cpu_millis":1000,"pids_max":256,"disk_bytes":1073741824,"output_interval_ms":600000})");
    const auto again = decode_job_spec(document);
    REQUIRE(again.ok());
    CHECK(job_spec_json(*again) == document);
}

TEST_CASE("what a job can ask for besides is in its document, with its defaults") {
    const auto spec = decode_job_spec(job(
        R"("outputs":["o"],"output_interval_ms":5000,"secrets":["token","db.key"],"shm_bytes":65536,)"
        R"("attempts_max":3,"retry_exit_codes":[75,137],"pull_timeout_ms":1000,"start_timeout_ms":2000,)"
        R"("health":{"command":["true"]},"idle":{"below_percent":5,"for_ms":60000},)"
        R"("registry_secret":"pull","restart":{"exit_codes":[75],"restarts_max":2})"));
    REQUIRE(spec.ok());
    CHECK(spec->registry_secret == "pull");
    const std::string document = job_spec_json(*spec);
    const std::string terms =
        R"("secrets":["token","db.key"],"output_interval_ms":5000,"shm_bytes":65536,"pull_timeout_ms":1000,)"
        R"("start_timeout_ms":2000,"retry_exit_codes":[75,137],"health":{"command":["true"],)"
        R"("interval_ms":30000,"timeout_ms":10000,"start_period_ms":0,"retries":3},)"
        R"("idle":{"below_percent":5,"for_ms":60000},"registry_secret":"pull",)"
        R"("restart":{"exit_codes":[75],"restarts_max":2,"delay_ms":1000}})";
    CHECK(document.ends_with(terms));
    const auto again = decode_job_spec(document);
    REQUIRE(again.ok());
    CHECK(job_spec_json(*again) == document);
}

TEST_CASE("a restart without exit codes is after every failure, and stays so") {
    const auto spec = decode_job_spec(job(R"("restart":{"restarts_max":100,"delay_ms":300000})"));
    REQUIRE(spec.ok());
    REQUIRE(spec->restart);
    CHECK_FALSE(spec->restart->exit_codes);
    CHECK(job_spec_json(*spec).ends_with(R"(,"restart":{"restarts_max":100,"delay_ms":300000}})"));
}

TEST_CASE("a job's network asks for hosts that offer one, and for more than one of them") {
    const std::string gang = R"("job":)" + job(R"("network":"gang")");
    const auto decoded = decode(order(R"("hosts":2,)" + gang));
    REQUIRE(decoded.ok());
    CHECK(decoded->command.requirements.gang_network);
    REQUIRE(decoded->command.job);
    CHECK(decoded->command.job->document.ends_with(R"(,"network":"gang"})"));
    const auto spec = decode_job_spec(decoded->command.job->document);
    REQUIRE(spec.ok());
    CHECK(spec->network == JobNetwork::gang);
    const auto without = decode(order(R"("hosts":2,"job":)" + job("")));
    REQUIRE(without.ok());
    CHECK_FALSE(without->command.requirements.gang_network);
    for (const std::string& body :
         {order(gang), order(R"("hosts":2,"job":)" + job(R"("network":"lan")"))}) {
        const auto refused = decode(body);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == ErrorCode::invalid_field);
        CHECK(refused.error().pointer == "/job/network");
    }
}

TEST_CASE("what a job cannot ask for") {
    const auto [fields, pointer] = GENERATE(values<std::pair<std::string, std::string>>({
        {R"("secrets":["../passwd"])", "/secrets/0"},
        {R"("secrets":["a","a"])", "/secrets/1"},
        {R"("registry_secret":"../passwd")", "/registry_secret"},
        {R"("registry_secret":"")", "/registry_secret"},
        {R"("registry_secret":7)", "/registry_secret"},
        {R"("output_interval_ms":5000)", "/output_interval_ms"},
        {R"("outputs":["o"],"output_interval_ms":999)", "/output_interval_ms"},
        {R"("shm_bytes":1073741825)", "/shm_bytes"},
        {R"("retry_exit_codes":[75])", "/attempts_max"},
        {R"("attempts_max":2,"retry_exit_codes":[0])", "/retry_exit_codes/0"},
        {R"("attempts_max":2,"retry_exit_codes":[7,7])", "/retry_exit_codes"},
        {R"("health":{"command":[]})", "/health/command"},
        {R"("health":{"command":["true"],"retries":0})", "/health/retries"},
        {R"("idle":{"below_percent":0,"for_ms":60000})", "/idle/below_percent"},
        {R"("idle":{"below_percent":5})", "/idle/for_ms"},
        {R"("restart":{})", "/restart/restarts_max"},
        {R"("restart":{"restarts_max":0})", "/restart/restarts_max"},
        {R"("restart":{"restarts_max":101})", "/restart/restarts_max"},
        {R"("restart":{"restarts_max":1,"exit_codes":[]})", "/restart/exit_codes"},
        {R"("restart":{"restarts_max":1,"exit_codes":[7,7]})", "/restart/exit_codes"},
        {R"("restart":{"restarts_max":1,"exit_codes":[0]})", "/restart/exit_codes/0"},
        {R"("restart":{"restarts_max":1,"exit_codes":"any_failure"})", "/restart/exit_codes"},
        {R"("restart":{"restarts_max":1,"delay_ms":999})", "/restart/delay_ms"},
        {R"("restart":{"restarts_max":1,"delay_ms":300001})", "/restart/delay_ms"},
        {R"("restart":{"restarts_max":1,"delay":1000})", "/restart/delay"},
    }));
    INFO(fields);
    const auto refused = decode_job_spec(job(fields));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().pointer == pointer);
}

TEST_CASE("an image that is pulled with a login says of which registry it is") {
    const auto refused_at = [](const std::string& image) {
        const auto spec = decode_job_spec(R"({"image":")" + image +
                                          R"(","max_duration_ms":60000,"registry_secret":"pull"})");
        return spec.ok() ? std::string() : spec.error().pointer;
    };
    CHECK(refused_at("docker.io/team/model:1").empty());
    CHECK(refused_at("127.0.0.1:5000/model@sha256:0123").empty());
    CHECK(refused_at("busybox:1.36") == "/image");
    CHECK(refused_at("team/model.v1:1") == "/image");
    CHECK(refused_at("localhost/made-here:1") == "/image");
}

TEST_CASE("a bid is a price, and nothing else") {
    const OrderId id(RawId{0, 1});
    const auto bid = decode_bid(R"({"price_micros_per_hour":7})", id);
    REQUIRE(bid.ok());
    CHECK(bid->order == id);
    CHECK(bid->price == ledger::Price(7));
    CHECK(decode_bid("{}", id).error().code == ErrorCode::missing_field);
    CHECK(decode_bid(R"({"price_micros_per_hour":-1})", id).error().code == ErrorCode::invalid_field);
    CHECK(decode_bid(R"({"price_micros_per_hour":1,"step":1})", id).error().code ==
          ErrorCode::unknown_field);
}

TEST_CASE("orders that are refused") {
    const auto row = GENERATE(values<Refused>({
        {R"({"term_ms":3600000})", ErrorCode::missing_field, "/price_max_micros_per_hour"},
        {R"({"price_max_micros_per_hour":1})", ErrorCode::missing_field, "/term_ms"},
        {R"({"price_max_micros_per_hour":-1,"term_ms":3600000})", ErrorCode::invalid_field,
         "/price_max_micros_per_hour"},
        {R"({"price_max_micros_per_hour":1000000000001,"term_ms":3600000})", ErrorCode::invalid_field,
         "/price_max_micros_per_hour"},
        {R"({"price_max_micros_per_hour":1,"term_ms":59999})", ErrorCode::invalid_field, "/term_ms"},
        {order(R"("pricing":"auction")"), ErrorCode::invalid_field, "/pricing"},
        {order(R"("count":0)"), ErrorCode::invalid_field, "/count"},
        {order(R"("count":65)"), ErrorCode::invalid_field, "/count"},
        {order(R"("thousandths":0)"), ErrorCode::invalid_field, "/thousandths"},
        {order(R"("thousandths":500,"count":2)"), ErrorCode::invalid_field, "/thousandths"},
        {order(R"("hosts":17)"), ErrorCode::invalid_field, "/hosts"},
        {order(R"("hosts":2,"thousandths":500)"), ErrorCode::invalid_field, "/thousandths"},
        {order(R"("hosts":2,"requirements":{"host_id":"host_00000000000000000000000001"})"),
         ErrorCode::invalid_field, "/hosts"},
        {order(R"("requirements":{"countries":["de"]})"), ErrorCode::invalid_field,
         "/requirements/countries/0"},
        {order(R"("requirements":{"contries":["DE"]})"), ErrorCode::unknown_field,
         "/requirements/contries"},
        {order(R"("requirements":{"listing_id":"x"})"), ErrorCode::invalid_id, "/requirements/listing_id"},
        {order(R"("requirements":{"query":"vrm >= 80GiB"})"), ErrorCode::invalid_field,
         "/requirements/query"},
        {order(R"("requirements":{"query":"free order by price"})"), ErrorCode::invalid_field,
         "/requirements/query"},
        {order(R"("requirements":{"query":""})"), ErrorCode::invalid_field, "/requirements/query"},
        {order(R"("job":{})"), ErrorCode::missing_field, "/job/image"},
        {order(R"("job":{"image":"-x","max_duration_ms":60000})"), ErrorCode::invalid_field, "/job/image"},
        {order(R"("job":{"image":"a b","max_duration_ms":60000})"), ErrorCode::invalid_field, "/job/image"},
        {order(R"("job":{"image":"a"})"), ErrorCode::missing_field, "/job/max_duration_ms"},
        {order("\"job\":" + job(R"("env":{"LD_PRELOAD":"x"})")), ErrorCode::invalid_field,
         "/job/env/LD_PRELOAD"},
        {order("\"job\":" + job(R"("env":{"NVIDIA_VISIBLE_DEVICES":"all"})")), ErrorCode::invalid_field,
         "/job/env/NVIDIA_VISIBLE_DEVICES"},
        {order("\"job\":" + job(R"("env":{"1A":"x"})")), ErrorCode::invalid_field, "/job/env"},
        {order("\"job\":" + job(R"("env":{"A":1})")), ErrorCode::invalid_field, "/job/env/A"},
        {order("\"job\":" + job(R"("outputs":["../x"])")), ErrorCode::invalid_field, "/job/outputs/0"},
        {order("\"job\":" + job(R"("outputs":["/x"])")), ErrorCode::invalid_field, "/job/outputs/0"},
        {order("\"job\":" + job(R"("outputs":["x","x"])")), ErrorCode::invalid_field, "/job/outputs/1"},
        {order("\"job\":" + job(R"("attempts_max":11)")), ErrorCode::invalid_field, "/job/attempts_max"},
        {order("\"job\":" +
               job(R"("inputs":[{"path":"a/../b","artifact_id":"artifact_00000000000000000000000007"}])")),
         ErrorCode::invalid_field, "/job/inputs/0/path"},
        {order("\"job\":" + job(R"("inputs":[{"path":"a","artifact_id":"b"}])")), ErrorCode::invalid_id,
         "/job/inputs/0/artifact_id"},
        {order("\"job\":" + job(R"("privileged":true)")), ErrorCode::unknown_field, "/job/privileged"},
    }));
    INFO(row.body);
    const auto refused = decode(row.body);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == row.code);
    CHECK(refused.error().pointer == row.pointer);
}

TEST_CASE("a job's description has a bound as a whole") {
    std::string words = R"("command":[)";
    for (int i = 0; i < 3; ++i)
        words += (i == 0 ? "\"" : ",\"") + std::string(60'000, 'x') + "\"";
    const auto refused = decode_job_spec(job(words + "]"));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == ErrorCode::invalid_field);
}
