// Everything a market can be told to do, as values. Decoding made sure of form and limits of each field;
// what depends on the state is checked by decide().
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "ledger/quote.hpp"
#include "market/state.hpp"

namespace fallow::market {

/// On whose behalf a command comes.
struct Caller {
    OrganizationId organization;  ///< nil for the system itself
    bool admin = false;
    std::optional<HostId> host;  ///< set for an agent; the organization is then the host's
    std::string name;            ///< "key_…", "host_…" or "system", for events and the audit
};

/// What comes in with a command beside its content: the only sources of time and ids in a decision.
struct Context {
    Time now;
    RawId seed;
    std::int64_t epoch = 0;
    Caller caller;
};

// --- administration

struct CreateOrganization {
    std::string name;
    std::string country;
};
struct Deposit {
    OrganizationId organization;
    ledger::Micros amount;
    std::string reference;
};
struct Withdraw {
    OrganizationId organization;
    ledger::AccountKind account = ledger::AccountKind::earned;
    ledger::Micros amount;
    std::string reference;
};
struct SetFee {
    std::int32_t fee_ppm = 0;
};
/// A bid outbids another by this much at least.
struct SetSpotStep {
    ledger::Price step;
};
struct CreateFreeze {
    FreezeKind kind = FreezeKind::organization;
    std::string target;
    std::string note;
};
struct RemoveFreeze {
    FreezeId freeze;
};
/// A new version of the jurisdiction policy: the whole text.
struct SetPolicy {
    std::int64_t replaces = 0;  ///< the version that it was made from
    std::string text;
};
/// Lets an organization have a model where a rule needs an approval.
struct CreateApproval {
    OrganizationId organization;
    std::string model;  ///< of the catalog
    std::string note;
};
struct RemoveApproval {
    ApprovalId approval;
};
/// The same for one standing order, whatever card it meets.
struct ApproveOrder {
    OrderId order;
};

// --- sellers

/// A host whose token was checked and spent by the accounts service in the transaction before.
struct EnrollHost {
    HostId host;  ///< chosen before, since its certificate and its key's certificate name it
    std::string name;
    std::string country;
    std::string runtime;
    std::string engine;
    std::string agent_version;
    std::int32_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
    std::string signing_key;
    std::string signing_key_certificate;
};
enum class HostAction { drain, resume, retire };
struct ChangeHost {
    HostId host;
    HostAction action = HostAction::drain;
};
/// Takes a host out of service for a time that is announced; leases that reach into it end a notice before.
struct AddMaintenance {
    HostId host;
    Time from;
    Time until;
    std::string reason;
};
struct RemoveMaintenance {
    HostId host;
};
struct CreateListing {
    HostId host;
    std::vector<CardId> cards;
    ledger::Price ask;
    std::optional<ledger::Price> spot_floor;
    ledger::Micros storage_price;
    ledger::Micros egress_price;
    Millis term_min;
    Millis term_max;
    Millis reclaim_notice;
    std::int32_t bundle_min = 1;
    std::optional<Time> available_from;
    std::optional<Time> available_until;
    std::optional<Time> committed_until;
    std::int32_t share_min = limits::thousandths_per_card;
    std::vector<std::string> windows;
    std::int32_t windows_utc_offset_minutes = 0;
    std::vector<OrganizationId> renters_allowed;
    std::vector<OrganizationId> renters_blocked;
    std::vector<std::string> images_allowed;
};
/// What a change of listings sets; what is absent stays.
struct ListingTerms {
    std::optional<ledger::Price> ask;
    std::optional<Millis> term_min;
    std::optional<Millis> term_max;
    std::optional<Millis> reclaim_notice;
    std::optional<ListingState> state;  ///< open or paused
    std::optional<ledger::Price> spot_floor = std::nullopt;
    bool no_spot = false;  ///< takes the floor away; spot leases that run go on
    std::optional<ledger::Micros> storage_price = {};
    std::optional<ledger::Micros> egress_price = {};
    std::optional<Time> committed_until = {};  ///< never earlier than it was
    std::optional<std::int32_t> share_min;
    std::optional<std::vector<std::string>> windows;
    std::optional<std::int32_t> windows_utc_offset_minutes;
    std::optional<std::vector<OrganizationId>> renters_allowed;
    std::optional<std::vector<OrganizationId>> renters_blocked;
    std::optional<std::vector<std::string>> images_allowed;

    [[nodiscard]] bool are_empty() const {
        return !ask && !spot_floor && !no_spot && !storage_price && !egress_price && !committed_until &&
               !term_min && !term_max && !reclaim_notice && !state && !share_min && !windows &&
               !windows_utc_offset_minutes && !renters_allowed && !renters_blocked && !images_allowed;
    }
};
struct UpdateListing {
    ListingId listing;
    std::int64_t version = 0;  ///< from If-Match
    ListingTerms terms;
};
/// Which of the caller's listings that are not withdrawn; an empty filter finds them all.
struct ListingFilter {
    std::vector<ListingId> listings;
    std::optional<HostId> host;
    std::optional<std::string> product;  ///< of any of its cards
    std::optional<ListingState> state;
    std::optional<std::string> query;  ///< that any of its cards is found by, without order by and limit
};
/// The same change of many listings at once, all of them or none.
struct ChangeListings {
    ListingFilter filter;
    ListingTerms terms;
    bool dry_run = false;  ///< only says what would come of it
};
struct WithdrawListing {
    ListingId listing;
};
/// `breach`: although the listing is committed, and for a penalty.
struct ReclaimLease {
    LeaseId lease;
    bool breach = false;
};

// --- renters

struct JobRequest {
    std::string image;
    Millis max_duration;
    std::int32_t attempts_max = 1;
    std::string document;  ///< the whole JobSpec as JSON, for job_specs
    std::int64_t storage_bytes = 0;
};
/// What an order could cost: nothing is placed, held or reserved.
struct MakeQuote {
    Requirements requirements;
    std::int32_t count = 1;
    std::int32_t thousandths = limits::thousandths_per_card;
    std::int32_t hosts = 1;
    ledger::Price price_max{limits::price_micros_per_hour_max};
    std::optional<ledger::Micros> storage_price_max = {};
    std::optional<ledger::Micros> egress_price_max = {};
    Millis term;
    std::int64_t stored_gib = 0;
    std::int64_t moved_gib = 0;
    std::optional<Time> starts_at;  ///< of a reservation
    std::optional<EndUse> end_use;
};
/// `quote`, whose signature was verified, says from which listings, and takes the price limit's place.
struct PlaceOrder {
    Requirements requirements;
    std::int32_t count = 1;
    OrderPricing pricing = OrderPricing::fixed;
    ledger::Price price_max;  ///< of a spot order, its bid
    Millis term;
    bool fill_or_kill = false;
    Millis expires_in;
    std::optional<JobRequest> job;
    std::optional<EndUse> end_use;
    std::optional<ledger::QuoteFacts> quote;
    std::int32_t thousandths = limits::thousandths_per_card;  ///< of each card
    std::int32_t hosts = 1;                                   ///< each with `count` cards
    std::optional<ledger::Micros> storage_price_max = {};
    NvlinkWish nvlink = NvlinkWish::prefer;
    /// On each host; left out: what the quote says, or none.
    std::optional<std::int64_t> egress_gib = {};
    std::optional<ledger::Micros> egress_price_max = {};
    ledger::Micros overage_max = {};  ///< on each host
};
/// Of a spot order that stands, or whose lease has not been told to stop.
struct ChangeBid {
    OrderId order;
    ledger::Price price;
};
struct CancelOrder {
    OrderId order;
};

// --- reservations

struct Reserve {
    Requirements requirements;
    std::int32_t count = 1;
    ledger::Price price_max;
    Millis term;
    Time starts_at;
    std::optional<EndUse> end_use;
    std::optional<ledger::QuoteFacts> quote;
};
/// By its renter, on the terms that were stated; by its seller with `breach`, for the penalty.
struct CancelReservation {
    ReservationId reservation;
    bool breach = false;
};
/// Offers what is left from `from` on (the start, when left out) to others; without a price, no more.
struct OfferReservation {
    ReservationId reservation;
    std::optional<ledger::Micros> price;
    std::optional<Time> from;
};
struct BuyReservation {
    ReservationId reservation;
    ledger::Micros price_max;
};
struct EndLease {
    LeaseId lease;
};
struct AttachJob {
    LeaseId lease;
    JobRequest job;
};
struct CancelJob {
    JobId job;
};

// --- agents

/// A card as its agent reports it: identity and, when it was measured, capacity.
struct ReportedCard {
    std::int32_t index = 0;
    std::string uuid;
    std::optional<std::string> pci_address;
    std::string product;
    std::string vendor;
    DeviceClass device_class = DeviceClass::gpu;
    Backend backend = Backend::nvml;
    std::string driver_version;
    std::optional<std::string> cuda_version;
    std::optional<std::string> compute_capability;
    std::optional<std::int32_t> pcie_generation;
    std::optional<std::int32_t> pcie_width;
    std::optional<std::int32_t> power_limit_watts;
    std::optional<std::int64_t> vram_bytes;
    std::optional<std::int64_t> memory_bandwidth_bytes_per_s;
    std::optional<std::int64_t> fp32_flops;
    std::optional<Time> measured_at;
    bool offered = true;  ///< false: its owner has it, or the owner's policy keeps it back
    std::optional<std::string> withheld_reason = {};  ///< of one that is not offered
    CardSpeeds speeds = {};
    CardDetails details = {};
    std::optional<CardVerdict> verdict = {};  ///< nothing: the agent is too old to say
};
struct ReportInventory {
    std::string boot_id;
    std::string agent_version;
    std::string runtime;
    std::string engine;
    std::int32_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
    std::optional<std::string> cpu_architecture;
    std::optional<std::int64_t> disk_bytes;
    std::vector<ReportedCard> cards;
    HostDetails details = {};
};
/// reclaimed: the owner takes a card of the lease back, at the host itself.
FALLOW_ENUM(AgentPhase, accepted, running, exited, failed, gone, reclaimed)
/// What the agent did before the container exited; `none`: it exited by itself.
FALLOW_ENUM(StopCause, none, wanted, duration, run_until, paid_until, fenced_too_long, reclaimed, unhealthy,
            idle)

struct AgentReport {
    LeaseId lease;
    std::int64_t lease_epoch = 0;
    AgentPhase phase = AgentPhase::accepted;
    std::optional<std::string> container;   ///< running
    std::optional<std::string> boot;        ///< running
    std::optional<std::int32_t> exit_code;  ///< exited
    bool oom_killed = false;                ///< exited
    bool duration_exceeded = false;         ///< exited
    StopCause stop = StopCause::none;       ///< exited
    std::optional<EndReason> failure;       ///< failed: image_pull_failed, start_failed or start_timeout
    std::optional<Millis> notice = {};      ///< reclaimed: what is left of it
    bool is_temporary = false;  ///< exited: with a code that the job wants to be tried again after
    std::int32_t restarts = 0;  ///< running: how often the container was started again
};
/// A usage statement whose signature was verified against the host's registered key.
struct ReportUsage {
    LeaseId lease;
    std::int64_t lease_epoch = 0;
    std::string container;
    std::string boot;
    std::string nonce;
    std::int64_t sequence = 0;
    Millis running;
    bool final = false;
    std::string statement;
    std::string statement_sha256;  ///< lower-case hex
    std::string signature;
    std::optional<std::int64_t> egress_bytes = {};  ///< cumulative; none: the agent is too old to say
};

// --- the engine's own

/// The presence table says that the host's heartbeats stopped, or came back.
struct HostLost {
    HostId host;
};
struct HostBack {
    HostId host;
};
/// The host's heartbeats come from another address than before.
struct HostMoved {
    HostId host;
    std::string address;  ///< empty: none that is public
};
/// Carries out what is due: deadlines of leases and expiries of orders, a bounded number at a time; then
/// matches the orders that stand. With `only`, that one deadline and nothing else: the engine's way to go
/// on after the database has refused a whole tick.
struct Tick {
    std::optional<DueId> only;
};

using Command =
    std::variant<CreateOrganization, Deposit, Withdraw, SetFee, CreateFreeze, RemoveFreeze, SetPolicy,
                 CreateApproval, RemoveApproval, ApproveOrder, EnrollHost, ChangeHost, CreateListing,
                 UpdateListing, ChangeListings, WithdrawListing, ReclaimLease, PlaceOrder, CancelOrder,
                 EndLease, AttachJob, CancelJob, ReportInventory, AgentReport, ReportUsage, HostLost,
                 HostBack, Tick, ChangeBid, SetSpotStep, MakeQuote, Reserve, CancelReservation,
                 OfferReservation, BuyReservation, AddMaintenance, RemoveMaintenance, HostMoved>;

// --- outcomes: the rows a caller is answered with, as they are after the decision

struct OrderPlaced {
    Order order;
    std::optional<Lease> lease;
    std::optional<Job> job;
    std::vector<Lease> members{};  ///< of a gang that was filled: all of its leases, by rank
};
/// A listing with what search shows of its cards.
struct ListingView {
    Listing listing;
    std::string product;
    DeviceClass device_class = DeviceClass::gpu;
    std::optional<std::int64_t> vram_bytes;  ///< of the smallest card
    std::string country;
    std::string runtime;
    std::int32_t cards_total = 0;
    std::int32_t cards_free = 0;        ///< whole
    std::int64_t thousandths_free = 0;  ///< over all cards, those that are leased in part included
    std::optional<ListingPause> paused_by = {};
};
/// The listings of a change in the form that it gives them, whether it was made or only asked about.
struct ListingsChanged {
    std::vector<ListingView> listings;
    bool dry_run = false;
};
struct InventoryAccepted {
    std::vector<Card> cards;
};
struct UsageAccepted {
    Lease lease;
    Usage usage;
};

using Outcome = std::variant<Done, Organization, ledger::Transfer, Settings, Freeze, Host, ListingView,
                             ListingsChanged, OrderPlaced, ledger::QuoteFacts, Reservation, Order, Lease,
                             Job, InventoryAccepted, UsageAccepted, Policy, PolicyApproval>;

}  // namespace fallow::market
