#include "agent/slurm_view.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "agent/slurm_cards.hpp"
#include "agent/slurm_cluster.hpp"
#include "agent/slurm_meeting.hpp"

namespace fallow::agent {
namespace {

/// As Slurm 22.05.8 says it.
constexpr const char* two_nodes =
    "NodeName=n1 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=8 CPUTot=8 CPULoad=4.13 "
    "AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:tesla:2(S:0-1),shard:8 GresDrain=N/A "
    "GresUsed=gpu:tesla:1(IDX:0) NodeAddr=127.0.0.1 NodeHostName=vm Version=22.05.8 OS=Linux 6.18 #1 SMP "
    "RealMemory=8000 AllocMem=0 State=MIXED ThreadsPerCore=1 Partitions=idle,all  "
    "BootTime=2026-11-28T08:45:41 Reason=was State=DOWN once [root@2026]\n"
    "NodeName=n2 CPUTot=4 Gres=gpu:4 GresUsed=gpu:0 NodeHostName=other RealMemory=100 State=IDLE+DRAIN "
    "Partitions=all BootTime=None\n\n";

constexpr const char* jobs_text =
    "3       |PENDING   |0     |Resources |2     |gres:gpu:2       |N/A              |     |n1,n3|(null)  "
    "\n"
    "1       |PENDING   |0     |Priority  |1     |gres:gpu:tesla:1 |N/A              |     |     |fallow "
    "host=host_1 lease=lease_a epoch=3\n"
    "7_[1-3] |RUNNING   |1000  |None      |1     |N/A              |gres:gpu:tesla:2 |n1   |n[1] |a|b\n";

SlurmNode node_in(const std::string& state) {
    SlurmNode node;
    node.name = "n1";
    node.state = state;
    return node;
}

SlurmJob job_of(std::int64_t uid, const char* state, const char* reason, std::vector<SlurmGres> per_node,
                const std::string& comment = "(null)") {
    return {.id = "1",
            .state = state,
            .uid = uid,
            .reason = reason,
            .nodes = 1,
            .node_list = "n1",
            .per_node = std::move(per_node),
            .per_job = {},
            .required_nodes = {},
            .comment = comment};
}

TEST_CASE("Generic resources are read in all of Slurm's spellings") {
    using All = std::vector<SlurmGres>;
    CHECK(parse_gres("gpu:tesla:2(S:0-1),gpu:a100:1(IDX:0,2),shard:8") == All{{"tesla", 2}, {"a100", 1}});
    CHECK(parse_gres("gres:gpu:2") == All{{"", 2}});
    CHECK(parse_gres("gres/gpu:tesla:4") == All{{"tesla", 4}});
    CHECK(parse_gres("gpu:tesla") == All{{"tesla", 1}});
    CHECK(parse_gres("gpu") == All{{"", 1}});
    CHECK(parse_gres("gpu:(null):2(IDX:0-1)") == All{{"", 2}});
    CHECK(parse_gres("gpu:(null):0").empty());
    CHECK(parse_gres("gpu:tesla:0(IDX:N/A)").empty());
    CHECK(parse_gres("N/A").empty());
    CHECK(parse_gres("(null)").empty());
    CHECK(parse_gres("").empty());
}

TEST_CASE("Nodes are read from scontrol's lines") {
    const auto nodes = parse_nodes(two_nodes);
    REQUIRE(nodes.size() == 2);
    CHECK(nodes[0] == SlurmNode{.name = "n1",
                                .host_name = "vm",
                                .state = "MIXED",
                                .partitions = "idle,all",
                                .boot_time = "2026-11-28T08:45:41",
                                .cpus = 8,
                                .memory_mib = 8000,
                                .gres = {{"tesla", 2}},
                                .used = {{"tesla", 1}}});
    CHECK(nodes[0].is_up());
    CHECK(nodes[0].is_in("idle"));
    CHECK_FALSE(nodes[0].is_in("id"));
    CHECK_FALSE(nodes[1].is_up());
    CHECK(parse_nodes("slurm_load_node error: Invalid node name specified\n").empty());
}

TEST_CASE("A node that starts nothing is not up") {
    for (const char* state : {"IDLE", "MIXED", "ALLOCATED", "IDLE+PLANNED", "MIXED+COMPLETING"})
        CHECK(node_in(state).is_up());
    for (const char* state : {"DOWN", "DOWN*", "IDLE*", "IDLE+DRAIN", "MIXED+DRAINING", "IDLE+POWERED_DOWN",
                              "FAIL", "DOWN+NOT_RESPONDING", "IDLE+MAINTENANCE+RESERVED", "UNKNOWN", ""})
        CHECK_FALSE(node_in(state).is_up());
}

TEST_CASE("Jobs are read from squeue's lines") {
    const auto jobs = parse_jobs(jobs_text);
    REQUIRE(jobs.size() == 3);
    CHECK(jobs[0].waits_for_room());
    CHECK(jobs[0].nodes == 2);
    CHECK(jobs[0].per_node == std::vector<SlurmGres>{{"", 2}});
    CHECK(parse_mark(jobs[1].comment) == SlurmMark{"host_1", "lease_a", 3});
    CHECK(jobs[2].per_job == std::vector<SlurmGres>{{"tesla", 2}});
    CHECK(jobs[2].node_list == "n1");
    CHECK(jobs[2].is_active());
    CHECK(jobs[0].may_run_on("n3"));
    CHECK_FALSE(jobs[0].may_run_on("n2"));
    CHECK(jobs[1].may_run_on("n2"));
    CHECK(jobs[2].may_run_on("n2"));
    CHECK_THROWS_AS(parse_jobs("squeue: error: nothing\n"), std::runtime_error);
    CHECK_THROWS_AS(parse_jobs("1|RUNNING|root|None|1|N/A|N/A|n1||c\n"), std::runtime_error);
}

TEST_CASE("A mark says whose a job is") {
    const SlurmMark lease{"host_1", "lease_a", 3};
    CHECK(parse_mark(mark_text(lease)) == lease);
    CHECK(parse_mark(mark_text({"host_1", {}, 0})) == SlurmMark{"host_1", {}, 0});
    CHECK_FALSE(parse_mark("my fallow host=host_1"));
}

TEST_CASE("A job's times are Slurm's") {
    CHECK(parse_times("JobId=6 JobName=fallow JobState=COMPLETED RunTime=00:00:03 StartTime=1795883044 "
                      "EndTime=1795883047 Deadline=N/A\n") ==
          SlurmTimes{"COMPLETED", 1'795'883'044, 1'795'883'047});
    CHECK(parse_times("JobId=6 JobState=PENDING StartTime=Unknown EndTime=Unknown\n") ==
          SlurmTimes{"PENDING", 0, 0});
    CHECK_FALSE(parse_times("slurm_load_jobs error: Invalid job id specified\n"));
}

TEST_CASE("A card keeps its name while its node, its model and its number stay") {
    const auto nodes = parse_nodes(two_nodes);
    const auto places = places_of("c", nodes);
    REQUIRE(places.size() == 2);
    CHECK(places[0].uuid != places[1].uuid);
    CHECK(places[0].uuid.starts_with("SLURM-"));
    CHECK(places[1].index == 1);
    CHECK(places_of("c", nodes) == places);
    CHECK(places_of("another", nodes)[0].uuid != places[0].uuid);
}

TEST_CASE("The cluster's own jobs come first") {
    const std::vector<SlurmPlace> places = {
        {"u0", "n1", "tesla", 0}, {"u1", "n1", "tesla", 1}, {"u2", "n1", "tesla", 2}};
    SlurmNode node = node_in("MIXED");
    node.gres = {{"tesla", 3}};
    const SlurmSelf self{0, "host_1"};
    const SlurmJob ours =
        job_of(0, "RUNNING", "None", {{"tesla", 1}}, "fallow host=host_1 lease=l epoch=1");
    std::vector<bool> leased = {true, false, false};
    const auto text = [&](const std::vector<SlurmJob>& jobs) {
        std::string all;
        ClusterHistory history;
        for (const CardDecision& d : decide_for_cluster(places, leased, {node}, jobs, self, history, 1))
            all += d.is_offered ? 'o' : d.takes_back ? 'T' : '-';
        return all;
    };

    node.used = {{"tesla", 1}};
    CHECK(text({ours}) == "ooo");
    CHECK(text({job_of(0, "RUNNING", "None", {{"tesla", 1}})}) == "oo-");
    // Somebody else may write what is ours, and is not us.
    CHECK(text({job_of(7, "RUNNING", "None", {{"tesla", 1}}, ours.comment)}) == "oo-");

    // Two are free, so it is not for those that it waits.
    CHECK(text({ours, job_of(1, "PENDING", "Resources", {{"tesla", 2}})}) == "o--");
    CHECK(text({ours, job_of(1, "PENDING", "Priority", {{"tesla", 2}})}) == "o--");
    CHECK(text({ours, job_of(1, "PENDING", "Resources", {{"tesla", 3}})}) == "T--");
    CHECK(text({ours, job_of(1, "PENDING", "Priority", {{"", 3}})}) == "T--");
    CHECK(text({ours, job_of(1, "PENDING", "Resources", {{"a100", 3}})}) == "ooo");
    CHECK(text({ours, job_of(1, "PENDING", "JobHeldUser", {{"tesla", 3}})}) == "ooo");
    CHECK(text({ours, job_of(0, "PENDING", "Resources", {{"tesla", 3}}, ours.comment)}) == "ooo");

    leased = {true, true, true};
    node.used = {{"tesla", 3}};
    const SlurmJob all_ours = job_of(0, "RUNNING", "None", {{"tesla", 3}}, ours.comment);
    CHECK(text({all_ours, job_of(1, "PENDING", "Resources", {{"tesla", 1}})}) == "ooT");
    // It waits for processors or memory, which a lease gives back.
    CHECK(text({all_ours, job_of(1, "PENDING", "Resources", {})}) == "ooT");
    CHECK(text({all_ours, job_of(1, "PENDING", "Resources", {{"", 1}}),
                job_of(2, "PENDING", "Priority", {{"", 1}})}) == "oTT");
}

TEST_CASE("Room is made on the node where the fewest leases are in the way") {
    const std::vector<SlurmPlace> places = {{"a0", "n1", "", 0},
                                            {"a1", "n1", "", 1},
                                            {"b0", "n2", "", 0},
                                            {"b1", "n2", "", 1},
                                            {"c0", "n3", "", 0}};
    std::vector<SlurmNode> nodes = {node_in("MIXED"), node_in("MIXED"), node_in("IDLE")};
    nodes[1].name = "n2";
    nodes[2].name = "n3";
    for (SlurmNode& node : nodes)
        node.gres = {{"", node.name == "n3" ? 1 : 2}};
    const std::vector<bool> leased = {true, true, true, false, false};
    ClusterHistory history;
    const auto text = [&](const SlurmJob& job, std::int64_t now = 1) {
        std::string all;
        for (const CardDecision& d :
             decide_for_cluster(places, leased, nodes, {job}, {0, "host_1"}, history, now))
            all += d.is_offered ? 'o' : d.takes_back ? 'T' : '-';
        return all;
    };
    SlurmJob job = job_of(1, "PENDING", "Resources", {{"", 2}});
    CHECK(text(job) == "ooT-o");
    job.required_nodes = "n1";
    CHECK(text(job) == "TTooo");
    job.required_nodes.clear();
    job.nodes = 2;
    CHECK(text(job) == "TTT-o");
    // --gpus=4 cannot be had of one node.
    job = job_of(1, "PENDING", "Resources", {});
    job.per_job = {{"", 4}};
    CHECK(text(job) == "TTT-o");
    job.per_job = {{"", 1}};
    CHECK(text(job) == "ooo-o");
    // Slurm has passed that card over for more than a minute: it is not that which the job waits for.
    CHECK(text(job, 60'000) == "ooo-o");
    CHECK(text(job, 80'000) == "oTo--");
    CHECK(text(job, 85'000) == "ooo-o");
}

TEST_CASE("A resource stands for the GPU of its number, and without any for the processor") {
    CardFacts cpu;
    cpu.device_class = "cpu";
    CardFacts first;
    first.device_class = "gpu";
    first.uuid = "first";
    CardFacts second = first;
    second.uuid = "second";
    CHECK(device_for({cpu, first, second}, 1)->uuid == "second");
    CHECK_FALSE(device_for({cpu, first, second}, 2));
    CHECK(device_for({cpu}, 5)->device_class == "cpu");
    CHECK_FALSE(device_for({}, 0));
}

TEST_CASE("A lease's job asks for what the lease has, in words of its own") {
    const SlurmOrder order{.mark = {"host_1", "lease_a", 3},
                           .node = "n1",
                           .gres = {"tesla", 2},
                           .cpus = 4,
                           .memory_mib = 512,
                           .minutes = 90,
                           .script = "/s/job.sh",
                           .output = "/s/job.log"};
    CHECK(sbatch_words(order, "idle") ==
          std::vector<std::string>{"--parsable", "--partition=idle", "--nodelist=n1", "--nodes=1",
                                   "--ntasks=1", "--cpus-per-task=4", "--mem=512", "--gres=gpu:tesla:2",
                                   "--time=90", "--job-name=lease_a",
                                   "--comment=fallow host=host_1 lease=lease_a epoch=3", "--no-requeue",
                                   "--signal=B:TERM@30", "--nice=10000", "--export=NONE", "--chdir=/",
                                   "--input=/dev/null", "--output=/s/job.log", "/s/job.sh"});
}

TEST_CASE("What the agent and a job tell each other is read as it was written") {
    SlurmErrand errand;
    errand.lease.lease_id = "lease_a";
    errand.lease.lease_epoch = 7;
    errand.lease.environment = {{"A", "b"}};
    errand.lease.spec.emplace();
    errand.lease.spec->image = "i:1";
    errand.lease.spec->command = {"x"};
    errand.host_id = "host_1";
    errand.folders = {"/in", "/out", "/notice"};
    errand.is_elsewhere = true;
    const SlurmErrand read = parse_errand(encode_errand(errand));
    CHECK(read.lease == errand.lease);
    CHECK(read.folders.notices == "/notice");
    CHECK(read.is_elsewhere);
    const SlurmStatus status{.phase = SlurmPhase::exited,
                             .container_id = "c",
                             .pid = 4,
                             .started_unix_ms = 5,
                             .finished_unix_ms = 6,
                             .exit_code = 7,
                             .oom_killed = true,
                             .is_cleaned = true,
                             .image_failed = false,
                             .detail = "d"};
    CHECK(parse_status(encode_status(status)) == status);
    const SlurmLook look{.number = 3, .command = {"test", "-e", "/tmp/\xc3\xa4"}, .timeout_ms = 500};
    CHECK(parse_look(encode_look(look)) == look);
    for (const SlurmLooked& looked :
         {SlurmLooked{3, 0, {}}, SlurmLooked{3, {}, {}}, SlurmLooked{4, {}, "no"}})
        CHECK(parse_looked(encode_looked(looked)) == looked);
    CHECK_THROWS_AS(parse_look("{}"), std::runtime_error);
    CHECK_THROWS_AS(parse_looked(R"({"number":1})"), std::runtime_error);
    CHECK_THROWS_AS(parse_status("{}"), std::runtime_error);
    CHECK_THROWS_AS(parse_status(R"({"phase":"lost"})"), std::runtime_error);
}

}  // namespace
}  // namespace fallow::agent
