// The public API of a Fallow server, one method per route, for sellers, renters and administrators.
//
// A method returns when the server has answered for good: passing failures are retried within the
// RetryPolicy. Every POST carries an Idempotency-Key made once per call, so a retry never acts twice; pass
// one of your own to make a call safe across restarts of the program too. Throws ApiError (the server
// refused), TransportError (it cannot be reached) and ProtocolError (it is not the server this SDK knows).
//
// What it is not: the agent's routes are in client-sdk/agent, and receipts are verified by
// receipt_verify.hpp, which needs no server at all. A Client serves one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "fallow/environment.hpp"
#include "fallow/errors.hpp"
#include "fallow/http_client.hpp"
#include "fallow/paging.hpp"
#include "fallow/retry.hpp"
#include "fallow/search_types.hpp"
#include "fallow/telemetry_types.hpp"
#include "fallow/types.hpp"

namespace fallow::sdk {

class Caller;

struct ClientOptions {
    std::string url;      ///< "https://host:port"
    std::string ca_file;  ///< the server's ca.pem; empty: the system's authorities
    std::string api_key;  ///< empty: only the routes that need none
    std::string user_agent = "fallow-sdk/0.1";
    RetryPolicy retry;
};

/// What a caller may add to any POST.
struct CallOptions {
    std::string idempotency_key;  ///< 1 to 255 printable characters; empty: a random one
    std::stop_token stop;
};

class Client {
  public:
    explicit Client(ClientOptions options, Environment& environment = system_environment());
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;

    // No key needed
    [[nodiscard]] bool is_live();
    [[nodiscard]] bool is_ready();
    [[nodiscard]] std::string metrics();
    [[nodiscard]] std::string openapi();
    [[nodiscard]] ServerInfo server();

    // Any key
    [[nodiscard]] Identity whoami();
    KeySecret create_key(const NewKey& key, const CallOptions& options = {});
    [[nodiscard]] Page<Key> keys(const PageRequest& page = {});
    void revoke_key(std::string_view key_id);
    KeySecret rotate_key(std::string_view key_id, const CallOptions& options = {});
    [[nodiscard]] Account account();
    [[nodiscard]] Page<Transfer> transfers(const PageRequest& page = {});
    [[nodiscard]] Page<Event> events(const PageRequest& page = {});
    /// Gives every event after `after_event_id` (empty: from now on) to `act`, across reconnections, until
    /// it returns false or a stop is requested. After a reconnection an event may come twice; its id tells.
    void follow_events(std::string after_event_id, const std::function<bool(const Event&)>& act,
                       const std::stop_token& stop = {});

    [[nodiscard]] Page<CardModel> catalog(const std::string& maker, const PageRequest& page = {});
    [[nodiscard]] CardModel catalog_model(std::string_view model);
    [[nodiscard]] Policy policy();
    [[nodiscard]] Page<PriceSummary> prices(const PageRequest& page = {});
    [[nodiscard]] PriceHistory price_history(std::string_view model, const PriceQuery& query = {});
    /// Of the last day, newest first.
    [[nodiscard]] Page<Trade> trades(std::string_view model, std::optional<std::int64_t> vram_gib,
                                     const PageRequest& page = {});
    [[nodiscard]] Outlook outlook(const OutlookQuery& query);

    // Sellers
    EnrollmentToken create_enrollment_token(const NewEnrollmentToken& token,
                                            const CallOptions& options = {});
    [[nodiscard]] Page<Host> hosts(const PageRequest& page = {});
    [[nodiscard]] Host host(std::string_view host_id);
    [[nodiscard]] HostScore host_score(std::string_view host_id);
    Host drain_host(std::string_view host_id, const CallOptions& options = {});
    Host resume_host(std::string_view host_id, const CallOptions& options = {});
    Host retire_host(std::string_view host_id, const CallOptions& options = {});
    Host add_maintenance(std::string_view host_id, const Maintenance& maintenance,
                         const CallOptions& options = {});
    void remove_maintenance(std::string_view host_id);
    /// Of the last 24 hours.
    [[nodiscard]] FailedStarts failed_starts(std::string_view host_id);
    [[nodiscard]] Page<Card> cards(std::string_view host_id, const PageRequest& page = {});
    Listing create_listing(const NewListing& listing, const CallOptions& options = {});
    /// `version` is that of the listing the change was made up from; another one now is refused with
    /// precondition_failed. Not repeated once the server may have seen it.
    Listing update_listing(std::string_view listing_id, std::int64_t version, const ListingChange& change);
    /// The same change of all listings that the filter finds, or of none.
    ListingsChanged change_listings(const ListingChanges& changes, const CallOptions& options = {});
    Listing withdraw_listing(std::string_view listing_id, const CallOptions& options = {});
    Lease reclaim_lease(std::string_view lease_id, const CallOptions& options = {});
    /// Although the listing is committed, and for the penalty that the plain call's refusal names.
    Lease breach_lease(std::string_view lease_id, const CallOptions& options = {});

    // Renters
    /// Cards on offer that a query finds; each item is the whole object, which SearchCard reads a part of.
    [[nodiscard]] Page<JsonText> search(const SearchQuery& search, const PageRequest& page = {});
    [[nodiscard]] SearchSummary search_summary(const SearchQuery& search);
    [[nodiscard]] SearchReference search_reference();
    /// Why a query finds what it finds now; `everything` makes no difference.
    [[nodiscard]] Explanation explain(const SearchQuery& search);
    [[nodiscard]] Explanation explain_order(std::string_view order_id);
    SavedSearch save_search(const NewSavedSearch& search, const CallOptions& options = {});
    [[nodiscard]] Page<SavedSearch> saved_searches(const PageRequest& page = {});
    void remove_saved_search(std::string_view search_id);

    /// Sets a secret, or changes it; `octets` as they are.
    Secret set_secret(std::string_view name, std::string_view octets);
    [[nodiscard]] Page<Secret> secrets(const PageRequest& page = {});
    void remove_secret(std::string_view name);
    [[nodiscard]] Page<Listing> listings(const ListingQuery& query = {}, const PageRequest& page = {});
    [[nodiscard]] Listing listing(std::string_view listing_id);
    Quote make_quote(const NewQuote& quote, const CallOptions& options = {});
    Reservation reserve(const NewReservation& reservation, const CallOptions& options = {});
    [[nodiscard]] Page<Reservation> reservations(const PageRequest& page = {});
    [[nodiscard]] Page<Reservation> offered_reservations(const PageRequest& page = {});
    [[nodiscard]] Reservation reservation(std::string_view reservation_id);
    Reservation cancel_reservation(std::string_view reservation_id, const CallOptions& options = {});
    /// The seller's way out, for the penalty.
    Reservation break_reservation(std::string_view reservation_id, const CallOptions& options = {});
    Reservation offer_reservation(std::string_view reservation_id, const NewOffer& offer,
                                  const CallOptions& options = {});
    Reservation buy_reservation(std::string_view reservation_id, std::int64_t price_max_micros,
                                const CallOptions& options = {});
    Placement place_order(const NewOrder& order, const CallOptions& options = {});
    [[nodiscard]] Page<Order> orders(const PageRequest& page = {});
    [[nodiscard]] Order order(std::string_view order_id);
    Order cancel_order(std::string_view order_id, const CallOptions& options = {});
    /// Raises or lowers the bid of a spot order that stands or whose lease runs.
    Order change_bid(std::string_view order_id, const NewBid& bid, const CallOptions& options = {});
    [[nodiscard]] Page<SpotPool> spot_pools(const PageRequest& page = {});
    [[nodiscard]] SpotPool spot_pool(std::string_view name);
    [[nodiscard]] Page<SpotPrice> spot_history(std::string_view pool, const PageRequest& page = {});
    [[nodiscard]] Page<Lease> leases(const PageRequest& page = {});
    [[nodiscard]] Lease lease(std::string_view lease_id);
    Lease end_lease(std::string_view lease_id, const CallOptions& options = {});
    Job start_job(std::string_view lease_id, const JobSpec& job, const CallOptions& options = {});
    [[nodiscard]] Receipt receipt(std::string_view lease_id);
    [[nodiscard]] Page<UsageRecord> usage(std::string_view lease_id, const PageRequest& page = {});
    /// What it used of its cards. A seller sees its own card's utilisation, power and temperature.
    [[nodiscard]] LeaseTelemetry lease_telemetry(std::string_view lease_id,
                                                 const TelemetryQuery& query = {});
    [[nodiscard]] Page<Job> jobs(const PageRequest& page = {});
    [[nodiscard]] Job job(std::string_view job_id);
    /// Over all leases that it was on and that were measured.
    [[nodiscard]] JobEfficiency job_efficiency(std::string_view job_id);
    Job cancel_job(std::string_view job_id, const CallOptions& options = {});
    /// The page of a web server that listens at this port of the job's loopback.
    [[nodiscard]] AppLink app_link(std::string_view job_id, std::int64_t port,
                                   const CallOptions& options = {});
    [[nodiscard]] Page<JobOutput> job_outputs(std::string_view job_id);  ///< all of them
    [[nodiscard]] CheckpointList job_checkpoints(std::string_view job_id);
    [[nodiscard]] CheckpointContent job_checkpoint(std::string_view job_id, std::int64_t number);
    /// The octets of a chunk that a checkpoint of the job names; download_checkpoint() takes all of one.
    [[nodiscard]] std::string checkpoint_chunk(std::string_view job_id, std::string_view sha256);

    /// Which part of a job's log. Nothing: the server's choice of attempt, and from its first entry.
    struct LogSelection {
        std::optional<std::int64_t> attempt;
        std::optional<std::int64_t> after_sequence;
    };
    [[nodiscard]] Page<LogEntry> job_logs(std::string_view job_id, const LogSelection& selection = {},
                                          const PageRequest& page = {});
    /// Gives every entry to `act`, across reconnections, until the server says that the log is complete,
    /// `act` returns false or a stop is requested. The end is there only in the first case.
    std::optional<LogEnd> follow_job_logs(std::string_view job_id, const LogSelection& selection,
                                          const std::function<bool(const LogEntry&)>& act,
                                          const std::stop_token& stop = {});

    // Artifacts; whole files are moved by artifacts.hpp
    Artifact create_artifact(const NewArtifact& artifact, const CallOptions& options = {});
    /// Newest first; those of one content when `sha256` is not empty.
    [[nodiscard]] Page<Artifact> artifacts(const std::string& sha256 = {}, const PageRequest& page = {});
    [[nodiscard]] MissingParts missing_parts(std::string_view artifact_id);
    void put_artifact_part(std::string_view artifact_id, std::int64_t part, std::string octets);
    Artifact complete_artifact(std::string_view artifact_id, const CallOptions& options = {});
    [[nodiscard]] Artifact artifact(std::string_view artifact_id);
    [[nodiscard]] std::string artifact_part(std::string_view artifact_id, std::int64_t part);

    // Administrators
    Organization create_organization(const NewOrganization& organization, const CallOptions& options = {});
    [[nodiscard]] Page<Organization> organizations(const PageRequest& page = {});
    KeySecret create_organization_key(std::string_view organization_id, const NewKey& key,
                                      const CallOptions& options = {});
    Transfer deposit(const NewDeposit& deposit, const CallOptions& options = {});
    Transfer withdraw(const NewWithdrawal& withdrawal, const CallOptions& options = {});
    [[nodiscard]] LeaseTelemetry any_lease_telemetry(std::string_view lease_id,
                                                     const TelemetryQuery& query = {});
    [[nodiscard]] LedgerProof ledger();
    [[nodiscard]] Fee fee();
    Fee set_fee(const Fee& fee);
    [[nodiscard]] SpotStep spot_step();
    SpotStep set_spot_step(const SpotStep& step);
    [[nodiscard]] SchedulerState scheduler();
    Freeze create_freeze(const NewFreeze& freeze, const CallOptions& options = {});
    [[nodiscard]] Page<Freeze> freezes(const PageRequest& page = {});
    void remove_freeze(std::string_view freeze_id);
    /// Refused with precondition_failed when another version than `replaces_version` holds.
    Policy set_policy(const NewPolicy& policy);
    [[nodiscard]] PolicyVerdict test_policy(const PolicyCase& facts);
    [[nodiscard]] PolicyVerdict test_policy(const PolicyDraft& draft);
    Approval create_approval(const NewApproval& approval, const CallOptions& options = {});
    [[nodiscard]] Page<Approval> approvals(const PageRequest& page = {});
    void remove_approval(std::string_view approval_id);
    Order approve_order(std::string_view order_id, const CallOptions& options = {});
    [[nodiscard]] Page<Event> audit(const PageRequest& page = {});

  private:
    std::unique_ptr<Caller> caller_;
};

/// The octets of an entry of a log. Throws ProtocolError when they are not base64.
[[nodiscard]] std::string log_octets(const LogEntry& entry);

}  // namespace fallow::sdk
