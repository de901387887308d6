// The objects of the contract, as data. Names are those of the wire.
//
// States, reasons and kinds stay text, so that a client understands a server that knows one more than it
// does; ids and times (RFC 3339, UTC) are carried, not interpreted. Amounts are micros of USD, prices
// micros per card-hour.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fallow/admin_types.hpp"
#include "fallow/checkpoint_types.hpp"
#include "fallow/host_types.hpp"
#include "fallow/job_types.hpp"
#include "fallow/json_text.hpp"
#include "fallow/market_types.hpp"
#include "fallow/reservation_types.hpp"

namespace fallow::sdk {

// ---- anyone and any key ----

struct ServerInfo {
    std::string version;
    std::string server_key;  ///< base64 Ed25519; to be pinned from the operator's file, not from here
    std::string market;
    std::string time;
};

struct Organization {
    std::string id;
    std::string name;
    std::string country;
    std::string state;  ///< active, frozen (`status` on the wire)
    std::string created_at;
    std::int64_t version = 0;
};

struct Key {
    std::string id;
    std::string organization_id;
    std::string name;
    std::string prefix;
    std::vector<std::string> scopes;
    std::string created_at;
    std::string expires_at;
    std::optional<std::string> revoked_at;
};

/// A key's one and only appearance in full.
struct KeySecret {
    Key key;
    std::string secret;
};

struct NewKey {
    std::string name;
    std::vector<std::string> scopes;
    std::optional<std::int64_t> expires_in_ms;
};

struct Identity {
    Organization organization;
    Key key;
};

struct Account {
    std::int64_t available_micros = 0;
    std::int64_t held_micros = 0;
    std::int64_t earned_micros = 0;
    std::string currency;
};

struct Transfer {
    std::string id;
    std::string debit_account_id;
    std::string credit_account_id;
    std::string debit_kind;
    std::string credit_kind;
    std::int64_t amount_micros = 0;
    std::string reason;  ///< deposit, withdrawal, hold, release, charge, fee, reserve, …
    std::optional<std::string> lease_id;
    std::optional<std::string> reservation_id;
    std::optional<std::string> reference;
    std::string at;
};

struct ObjectRef {
    std::string kind;
    std::string id;
};

struct Event {
    std::string id;    ///< "<stream>-<seq>-<n>"; resumes a stream after this event
    std::string type;  ///< "lease.running"
    std::string at;
    JsonText actor;
    JsonText reason;
    ObjectRef object;
    JsonText data;  ///< the row
};

// ---- sellers ----

struct NewEnrollmentToken {
    std::string name;     ///< of the host to be
    std::string country;  ///< ISO 3166-1 alpha-2
};

struct EnrollmentToken {
    std::string token;
    std::string expires_at;
};

struct Host {
    std::string id;
    std::string organization_id;
    std::string name;
    std::string state;         ///< enrolled, online, unreachable, draining, retired
    std::string verification;  ///< unverified, verified, refused
    std::string country;
    std::string runtime;
    std::string engine;
    std::string agent_version;
    std::int64_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
    std::optional<std::string> cpu_architecture;
    std::optional<std::int64_t> disk_bytes;
    std::optional<std::string> cpu_model;
    std::optional<std::int64_t> cpu_clock_mhz;
    std::optional<std::string> rack;
    std::optional<DiskSpeed> disk_speed;
    std::optional<Maintenance> maintenance;
    bool retiring = false;
    std::optional<std::string> drained_at;
    std::optional<std::string> guest_network;    ///< none, internet
    std::optional<std::string> working_storage;  ///< encrypted, wiped, memory
    std::optional<bool> gang_network;  ///< containers of a job over several hosts can have one here
    std::optional<NetworkSpeed> network_speed;
    std::optional<std::string> address;  ///< public, that the server hears the host from
    std::optional<std::string> address_since;
    std::int64_t reliability_ppm = 0;
    std::string signing_key;
    std::string enrolled_at;
    std::int64_t version = 0;
};

struct Capacity {
    std::int64_t vram_bytes = 0;
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::int64_t fp32_flops = 0;
    std::optional<std::int64_t> fp16_flops;
    std::optional<std::int64_t> to_device_bytes_per_s;
    std::optional<std::int64_t> from_device_bytes_per_s;
    std::string measured_at;
};

struct Card {
    std::string id;
    std::string host_id;
    std::int64_t index = 0;
    std::string uuid;
    std::optional<std::string> pci_address;
    std::string product;
    std::optional<std::string> model;               ///< of the catalog
    std::optional<std::string> verification_class;  ///< stock, modified
    std::string vendor;
    std::string device_class;  ///< gpu, cpu, accelerator
    std::string backend;       ///< nvml, opencl, amdgpu
    std::string driver_version;
    std::optional<std::string> cuda_version;
    std::optional<std::string> compute_capability;
    std::optional<std::int64_t> pcie_generation;
    std::optional<std::int64_t> pcie_width;
    std::optional<std::int64_t> power_limit_watts;
    std::optional<std::int64_t> clock_mhz;
    std::optional<bool> ecc;
    std::optional<std::int64_t> ecc_errors;
    std::optional<std::int64_t> nvlink_links;
    std::optional<std::int64_t> nvlink_bytes_per_s;
    std::optional<std::int64_t> nvlink_group;
    std::optional<std::string> mig_profile;
    std::optional<std::string> mig_parent;
    CardVerification verification;
    std::string state;  ///< present, missing, withheld
    std::optional<std::string> withheld_reason;
    std::optional<Capacity> capacity;
    std::int64_t used_thousandths = 0;
    std::int64_t version = 0;
};

struct Listing {
    std::string id;
    std::string organization_id;
    std::string host_id;
    std::vector<std::string> card_ids;
    std::string state;                     ///< open, paused, withdrawn
    std::optional<std::string> paused_by;  ///< seller; cards: it is open, and none of its cards is offered
    std::int64_t ask_micros_per_hour = 0;
    std::optional<std::int64_t> spot_floor_micros_per_hour;  ///< absent: takes no bids
    std::int64_t storage_micros_per_gib_month = 0;
    std::int64_t egress_micros_per_gib = 0;
    std::int64_t term_min_ms = 0;
    std::int64_t term_max_ms = 0;
    std::int64_t reclaim_notice_ms = 0;
    std::int64_t bundle_min = 0;
    std::optional<std::string> available_from;
    std::optional<std::string> available_until;
    std::optional<std::string> committed_until;
    std::string created_at;
    std::int64_t version = 0;
    std::string product;
    std::optional<std::string> model;
    std::optional<std::string> verification_class;
    std::string device_class;
    std::int64_t vram_bytes = 0;
    std::string country;
    std::string runtime;
    std::int64_t cards_total = 0;
    std::int64_t cards_free = 0;
    std::int64_t thousandths_free = 0;          ///< over all cards, those leased in part included
    std::int64_t share_min_thousandths = 1000;  ///< the smallest part of a card; 1000: whole cards alone
    std::vector<std::string> windows;           ///< "fri 18:00-mon 08:00"; none: always
    std::int64_t windows_utc_offset_minutes = 0;
    std::vector<std::string> images_allowed;
    std::optional<std::vector<std::string>> renters_allowed;  ///< only the seller sees them
    std::optional<std::vector<std::string>> renters_blocked;
};

struct NewListing {
    std::string host_id;
    std::vector<std::string> card_ids;
    std::int64_t ask_micros_per_hour = 0;
    std::optional<std::int64_t> spot_floor_micros_per_hour;
    std::optional<std::int64_t> storage_micros_per_gib_month;
    std::optional<std::int64_t> egress_micros_per_gib;
    std::optional<std::int64_t> term_min_ms;
    std::optional<std::int64_t> term_max_ms;
    std::optional<std::int64_t> reclaim_notice_ms;
    std::optional<std::int64_t> bundle_min;
    std::optional<std::int64_t> share_min_thousandths;
    std::optional<std::vector<std::string>> windows;
    std::optional<std::int64_t> windows_utc_offset_minutes;
    std::optional<std::vector<std::string>> images_allowed;
    std::optional<std::vector<std::string>> renters_allowed;
    std::optional<std::vector<std::string>> renters_blocked;
    std::optional<std::string> available_from;
    std::optional<std::string> available_until;
    std::optional<std::string> committed_until;
};

/// What is absent stays as it is. Running leases keep their price.
struct ListingChange {
    std::optional<std::int64_t> ask_micros_per_hour;
    std::optional<std::int64_t> spot_floor_micros_per_hour;
    std::optional<bool> no_spot;  ///< take no more bids
    std::optional<std::int64_t> storage_micros_per_gib_month;
    std::optional<std::int64_t> egress_micros_per_gib;
    std::optional<std::int64_t> reclaim_notice_ms;
    std::optional<std::int64_t> term_min_ms;
    std::optional<std::int64_t> term_max_ms;
    std::optional<std::int64_t> share_min_thousandths;
    std::optional<std::vector<std::string>> windows;
    std::optional<std::int64_t> windows_utc_offset_minutes;
    std::optional<std::vector<std::string>> images_allowed;
    std::optional<std::vector<std::string>> renters_allowed;
    std::optional<std::vector<std::string>> renters_blocked;
    std::optional<std::string> state;  ///< open, paused
    std::optional<std::string> committed_until;
};

/// Which of one's own listings a change is for; what is absent does not filter.
struct ListingFilter {
    std::vector<std::string> listing_ids;
    std::optional<std::string> host_id;
    std::optional<std::string> product;
    std::optional<std::string> state;
    std::optional<std::string> query;  ///< as of a search, without order by and limit
};

struct ListingChanges {
    ListingFilter filter;
    ListingChange change;
    bool dry_run = false;
};

struct ListingsChanged {
    bool dry_run = false;
    std::vector<Listing> items;
};

/// What GET /v1/listings filters by. What is absent does not filter.
struct ListingQuery {
    std::optional<std::string> product;
    std::optional<std::string> device_class;
    std::optional<std::int64_t> vram_bytes_min;
    std::optional<std::string> country;
    std::optional<std::int64_t> price_max_micros_per_hour;
    std::optional<std::string> host_id;
    std::optional<std::string> seller_id;
    std::optional<std::string> state;
};

// ---- renters ----

struct JobInput {
    std::string path;  ///< below /work/in
    std::string artifact_id;
};

/// After which of its own ends the job's container is started again, in the same lease.
struct RestartSpec {
    std::optional<std::vector<std::int64_t>> exit_codes;  ///< none: all but 0, and not out of memory
    std::int64_t restarts_max = 0;
    std::optional<std::int64_t> delay_ms;  ///< before the first; it doubles with each
};

struct JobSpec {
    std::string image;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::vector<JobInput> inputs;
    std::vector<std::string> outputs;  ///< below /work/out
    std::int64_t max_duration_ms = 0;
    std::optional<std::int64_t> attempts_max;
    std::optional<std::int64_t> memory_bytes;
    std::optional<std::int64_t> cpu_millis;
    std::optional<std::int64_t> pids_max;
    std::optional<std::int64_t> disk_bytes;
    std::optional<CheckpointSpec> checkpoint;
    std::vector<std::string> secrets;                ///< names; each is a file below /run/secrets
    std::optional<std::int64_t> output_interval_ms;  ///< how often outputs are saved while it runs
    std::optional<std::int64_t> shm_bytes;           ///< of /dev/shm
    std::optional<std::int64_t> pull_timeout_ms;
    std::optional<std::int64_t> start_timeout_ms;
    std::vector<std::int64_t> retry_exit_codes;  ///< tried again while attempts are left
    std::optional<HealthSpec> health;
    std::optional<IdleSpec> idle;
    std::optional<std::string> registry_secret;  ///< the name of what its image is pulled with
    std::optional<std::string> network;          ///< gang: its containers on several hosts reach each other
    std::optional<RestartSpec> restart;
};

struct NewOrder {
    Requirements requirements;
    std::optional<std::int64_t> count;
    std::optional<std::int64_t> thousandths;  ///< of each card; less than 1000 only with one card
    std::optional<std::int64_t> hosts;        ///< each with `count` cards
    std::optional<std::string> nvlink;        ///< prefer, require
    std::optional<std::string> pricing;       ///< fixed, spot
    std::optional<std::int64_t> price_max_micros_per_hour;  ///< needed unless there is a quote
    std::optional<std::int64_t> storage_micros_per_gib_month_max;
    std::optional<std::int64_t> egress_gib;          ///< that each host's container may send out
    std::optional<std::int64_t> overage_micros_max;  ///< it may send more until that has cost so much
    std::optional<std::int64_t> egress_micros_per_gib_max;  ///< needed with egress_gib but for a quote
    std::int64_t term_ms = 0;
    std::optional<SignedQuote> quote;
    std::optional<bool> fill_or_kill;
    std::optional<std::int64_t> expires_in_ms;
    std::optional<std::string> end_use;  ///< ai_training, ai_inference, …
    std::optional<JobSpec> job;
};

struct Order {
    std::string id;
    std::string organization_id;
    std::string state;  ///< standing, filled, cancelled, expired, rejected
    std::optional<std::string> reason;
    Requirements requirements;
    std::int64_t count = 0;
    std::int64_t thousandths = 1000;
    std::int64_t hosts = 1;
    std::optional<std::string> pricing;          ///< fixed, spot
    std::int64_t price_max_micros_per_hour = 0;  ///< of a spot order, its bid
    std::optional<std::string> bid_changed_at;
    std::vector<std::string> promised_card_ids;  ///< its own as soon as they are free
    std::int64_t term_ms = 0;
    bool fill_or_kill = false;
    std::string placed_at;
    std::string expires_at;
    std::optional<std::string> lease_id;
    std::optional<std::string> job_id;
    std::optional<std::string> end_use;
    std::optional<bool> approved;  ///< by the operator, where a rule asks for it
    /// The rule that kept it from a match when it was placed.
    std::optional<std::int64_t> policy_version;
    std::optional<std::string> policy_rule;
    std::optional<std::string> policy_effect;  ///< deny, needs_approval
    std::optional<std::string> quote_id;
    std::int64_t storage_bytes = 0;  ///< reserved on each host for its job
    std::optional<std::int64_t> storage_micros_per_gib_month_max;
    std::int64_t egress_gib = 0;  ///< that each host's container may send out
    std::int64_t overage_micros_max = 0;
    std::int64_t egress_mib_used = 0;  ///< of the two, by earlier attempts of its job
    std::int64_t overage_micros_used = 0;
    std::optional<std::int64_t> egress_micros_per_gib_max;
    std::optional<std::int64_t> all_in_micros_per_hour;  ///< of all its leases, when it was filled
    std::int64_t version = 0;
};

struct Lease {
    std::string id;
    std::string order_id;
    std::int64_t rank = 0;        ///< among the leases of its order
    std::int64_t hosts = 1;       ///< how many those are
    std::string organization_id;  ///< the renter
    std::string seller_id;
    std::string host_id;
    std::string listing_id;
    std::optional<std::string> job_id;
    std::int64_t attempt = 0;
    std::vector<std::string> card_ids;
    std::string state;                       ///< allocated, preparing, running, reclaiming, ended
    std::optional<std::string> stop_reason;  ///< why it was told to stop
    std::optional<std::string> end_reason;
    std::int64_t price_micros_per_hour = 0;
    std::optional<std::int64_t> spot_floor_micros_per_hour;  ///< of a spot lease
    std::int64_t storage_bytes = 0;                          ///< reserved for its job
    std::int64_t storage_micros_per_gib_month = 0;
    std::int64_t egress_micros_per_gib = 0;
    std::optional<std::int64_t> egress_mib_max;  ///< that its containers may send out; absent: no limit
    std::int64_t egress_mib = 0;                 ///< sent out, as far as it is billed
    std::int64_t egress_micros = 0;              ///< of the charge
    std::int64_t all_in_micros_per_hour = 0;     ///< cards and storage, rounded up
    std::int64_t thousandths = 0;
    std::int64_t term_ms = 0;
    std::int64_t reclaim_notice_ms = 0;
    std::int64_t epoch = 0;
    std::string allocated_at;
    std::optional<std::string> preparing_at;
    std::optional<std::string> running_at;
    std::optional<std::string> ended_at;
    std::optional<std::string> phase_deadline;
    std::optional<std::string> reclaim_deadline;
    std::optional<std::string> paid_until;
    std::int64_t running_ms = 0;
    std::int64_t charged_micros = 0;
    std::int64_t fee_micros = 0;
    std::int64_t held_micros = 0;
    std::optional<std::int64_t> policy_version;  ///< that allowed it
    std::optional<std::string> policy_rule;
    std::optional<std::string> ends_by;         ///< the listing's window closes
    std::optional<std::string> maintenance_at;  ///< its host goes out of service
    std::int64_t version = 0;
    std::optional<std::string> role;  ///< whose side the caller is on: seller, renter
};

struct Job {
    std::string id;
    std::string organization_id;
    std::string state;  ///< queued, assigned, running, succeeded, failed, cancelled
    std::optional<std::string> order_id;
    std::optional<std::string> lease_id;
    std::int64_t rank = 0;  ///< among the jobs of its order, one for each host
    std::int64_t hosts = 1;
    std::string image;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::vector<JobInput> inputs;
    std::vector<std::string> outputs;
    std::int64_t max_duration_ms = 0;
    std::int64_t attempts_max = 0;
    std::int64_t attempts = 0;
    std::int64_t restarts = 0;  ///< of its container, within the current or last attempt
    std::int64_t memory_bytes = 0;
    std::int64_t cpu_millis = 0;
    std::int64_t pids_max = 0;
    std::int64_t disk_bytes = 0;
    std::optional<CheckpointSpec> checkpoint;
    std::optional<std::int64_t> exit_code;
    std::optional<std::string> reason;
    std::string queued_at;
    std::optional<std::string> started_at;
    std::optional<std::string> finished_at;
    std::optional<JobProgress> progress;
    std::int64_t version = 0;
    std::vector<std::string> secrets;
    std::optional<std::int64_t> output_interval_ms;
    std::optional<std::int64_t> shm_bytes;
    std::optional<std::int64_t> pull_timeout_ms;
    std::optional<std::int64_t> start_timeout_ms;
    std::vector<std::int64_t> retry_exit_codes;
    std::optional<HealthSpec> health;
    std::optional<IdleSpec> idle;
    std::optional<std::string> registry_secret;
    std::optional<std::string> network;  ///< gang: its containers on several hosts reach each other
    std::optional<RestartSpec> restart;

    [[nodiscard]] bool is_finished() const {
        return state == "succeeded" || state == "failed" || state == "cancelled";
    }
};

struct NewBid {
    std::int64_t price_micros_per_hour = 0;
};

/// The cards of one model and memory size that are offered for spot.
struct SpotPool {
    std::string id;
    std::string name;
    std::string product;
    std::int64_t vram_gib = 0;
    std::optional<std::int64_t> price_micros_per_hour;  ///< of the cheapest; absent while none is offered
    std::int64_t cards = 0;
    std::int64_t cards_leased = 0;
    std::int64_t bids = 0;  ///< that stand and lose
    std::optional<std::string> repriced_at;
};

struct SpotPrice {
    std::string at;
    std::optional<std::int64_t> price_micros_per_hour;
};

/// What POST /v1/orders brings forth.
struct Placement {
    Order order;
    std::optional<Lease> lease;
    std::optional<Job> job;
    std::vector<Lease> members;  ///< all leases of an order over several hosts, by rank
};

struct UsageRecord {
    std::int64_t sequence = 0;
    std::string statement;
    std::string signature;
    std::int64_t accepted_running_ms = 0;
    std::optional<std::int64_t> accepted_egress_mib;
    std::int64_t clipped_ms = 0;
    std::string accepted_at;
};

struct HostKeyCertificate {
    std::string statement;
    std::string signature;
};

/// Verified by receipt_verify.hpp, from the document as it was stored.
struct Receipt {
    std::string receipt;
    std::string server_signature;
    std::optional<std::string> usage_statement;
    std::optional<std::string> usage_signature;
    std::optional<std::string> host_key;
    std::optional<HostKeyCertificate> host_key_certificate;
};

struct LogEntry {
    std::int64_t sequence = 0;
    std::string stream;  ///< stdout, stderr
    std::string at;
    std::string data;  ///< base64, see log_octets()
};

/// How a followed log ended.
struct LogEnd {
    std::string state;
    std::optional<std::int64_t> exit_code;
    std::optional<std::string> reason;
};

struct Artifact {
    std::string id;
    std::string name;
    std::int64_t bytes = 0;
    std::string sha256;
    std::string state;  ///< uploading, complete
    std::int64_t parts_received = 0;
    std::string created_at;
    std::string expires_at;
};

struct MissingParts {
    std::vector<std::int64_t> missing;  ///< their numbers, from 0
};

struct NewArtifact {
    std::string name;
    std::int64_t bytes = 0;
    std::string sha256;
};

struct JobOutput {
    std::string path;
    std::int64_t attempt = 0;
    Artifact artifact;
};

}  // namespace fallow::sdk
