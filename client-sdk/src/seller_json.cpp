#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<NewEnrollmentToken> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("country", value.country);
    }
};

template <>
struct Fields<EnrollmentToken> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("token", value.token);
        visit("expires_at", value.expires_at);
    }
};

template <>
struct Fields<DiskSpeed> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("write_bytes_per_s", value.write_bytes_per_s);
        visit("read_bytes_per_s", value.read_bytes_per_s);
        visit("measured_at", value.measured_at);
    }
};

template <>
struct Fields<NetworkSpeed> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("up_bytes_per_s", value.up_bytes_per_s);
        visit("down_bytes_per_s", value.down_bytes_per_s);
        visit("measured_at", value.measured_at);
    }
};

template <>
struct Fields<HostScore> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("host_id", value.host_id);
        visit("reliability_ppm", value.reliability_ppm);
        visit("delivered_ms", value.delivered_ms);
        visit("lost_ms", value.lost_ms);
        visit("reclaimed_ms", value.reclaimed_ms);
        visit("start_failed_ms", value.start_failed_ms);
        visit("clipped_ms", value.clipped_ms);
        visit("failed_ms", value.failed_ms);
        visit("prior_delivered_ms", value.prior_delivered_ms);
        visit("prior_failed_ms", value.prior_failed_ms);
    }
};

template <>
struct Fields<Maintenance> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("from", value.from);
        visit("until", value.until);
        visit("reason", value.reason);
    }
};

template <>
struct Fields<RenterFailures> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("organization_id", value.organization_id);
        visit("failed_starts", value.failed_starts);
        visit("failed_pulls", value.failed_pulls);
        visit("last_at", value.last_at);
        visit("last_reason", value.last_reason);
    }
};

template <>
struct Fields<FailedStarts> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("since", value.since);
        visit("renters", value.renters);
    }
};

template <>
struct Fields<CardVerification> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("state", value.state);
        visit("reason", value.reason);
        visit("at", value.at);
    }
};

template <>
struct Fields<Host> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("name", value.name);
        visit("state", value.state);
        visit("verification", value.verification);
        visit("country", value.country);
        visit("runtime", value.runtime);
        visit("engine", value.engine);
        visit("agent_version", value.agent_version);
        visit("cpu_cores", value.cpu_cores);
        visit("memory_bytes", value.memory_bytes);
        visit("cpu_architecture", value.cpu_architecture);
        visit("disk_bytes", value.disk_bytes);
        visit("cpu_model", value.cpu_model);
        visit("cpu_clock_mhz", value.cpu_clock_mhz);
        visit("rack", value.rack);
        visit("disk_speed", value.disk_speed);
        visit("maintenance", value.maintenance);
        visit("retiring", value.retiring);
        visit("drained_at", value.drained_at);
        visit("guest_network", value.guest_network);
        visit("working_storage", value.working_storage);
        visit("gang_network", value.gang_network);
        visit("network_speed", value.network_speed);
        visit("address", value.address);
        visit("address_since", value.address_since);
        visit("reliability_ppm", value.reliability_ppm);
        visit("signing_key", value.signing_key);
        visit("enrolled_at", value.enrolled_at);
        visit("version", value.version);
    }
};

template <>
struct Fields<Capacity> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("vram_bytes", value.vram_bytes);
        visit("memory_bandwidth_bytes_per_s", value.memory_bandwidth_bytes_per_s);
        visit("fp32_flops", value.fp32_flops);
        visit("fp16_flops", value.fp16_flops);
        visit("to_device_bytes_per_s", value.to_device_bytes_per_s);
        visit("from_device_bytes_per_s", value.from_device_bytes_per_s);
        visit("measured_at", value.measured_at);
    }
};

template <>
struct Fields<Card> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("host_id", value.host_id);
        visit("index", value.index);
        visit("uuid", value.uuid);
        visit("pci_address", value.pci_address);
        visit("product", value.product);
        visit("model", value.model);
        visit("verification_class", value.verification_class);
        visit("vendor", value.vendor);
        visit("device_class", value.device_class);
        visit("backend", value.backend);
        visit("driver_version", value.driver_version);
        visit("cuda_version", value.cuda_version);
        visit("compute_capability", value.compute_capability);
        visit("pcie_generation", value.pcie_generation);
        visit("pcie_width", value.pcie_width);
        visit("power_limit_watts", value.power_limit_watts);
        visit("clock_mhz", value.clock_mhz);
        visit("ecc", value.ecc);
        visit("ecc_errors", value.ecc_errors);
        visit("nvlink_links", value.nvlink_links);
        visit("nvlink_bytes_per_s", value.nvlink_bytes_per_s);
        visit("nvlink_group", value.nvlink_group);
        visit("mig_profile", value.mig_profile);
        visit("mig_parent", value.mig_parent);
        visit("verification", value.verification);
        visit("state", value.state);
        visit("withheld_reason", value.withheld_reason);
        visit("capacity", value.capacity);
        visit("used_thousandths", value.used_thousandths);
        visit("version", value.version);
    }
};

template <>
struct Fields<Listing> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("host_id", value.host_id);
        visit("card_ids", value.card_ids);
        visit("state", value.state);
        visit("paused_by", value.paused_by);
        visit("ask_micros_per_hour", value.ask_micros_per_hour);
        visit("spot_floor_micros_per_hour", value.spot_floor_micros_per_hour);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
        visit("term_min_ms", value.term_min_ms);
        visit("term_max_ms", value.term_max_ms);
        visit("reclaim_notice_ms", value.reclaim_notice_ms);
        visit("bundle_min", value.bundle_min);
        visit("available_from", value.available_from);
        visit("available_until", value.available_until);
        visit("committed_until", value.committed_until);
        visit("created_at", value.created_at);
        visit("version", value.version);
        visit("product", value.product);
        visit("model", value.model);
        visit("verification_class", value.verification_class);
        visit("device_class", value.device_class);
        visit("vram_bytes", value.vram_bytes);
        visit("country", value.country);
        visit("runtime", value.runtime);
        visit("cards_total", value.cards_total);
        visit("cards_free", value.cards_free);
        visit("thousandths_free", value.thousandths_free);
        visit("share_min_thousandths", value.share_min_thousandths);
        visit("windows", value.windows);
        visit("windows_utc_offset_minutes", value.windows_utc_offset_minutes);
        visit("images_allowed", value.images_allowed);
        visit("renters_allowed", value.renters_allowed);
        visit("renters_blocked", value.renters_blocked);
    }
};

template <>
struct Fields<NewListing> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("host_id", value.host_id);
        visit("card_ids", value.card_ids);
        visit("ask_micros_per_hour", value.ask_micros_per_hour);
        visit("spot_floor_micros_per_hour", value.spot_floor_micros_per_hour);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
        visit("term_min_ms", value.term_min_ms);
        visit("term_max_ms", value.term_max_ms);
        visit("reclaim_notice_ms", value.reclaim_notice_ms);
        visit("bundle_min", value.bundle_min);
        visit("share_min_thousandths", value.share_min_thousandths);
        visit("windows", value.windows);
        visit("windows_utc_offset_minutes", value.windows_utc_offset_minutes);
        visit("images_allowed", value.images_allowed);
        visit("renters_allowed", value.renters_allowed);
        visit("renters_blocked", value.renters_blocked);
        visit("available_from", value.available_from);
        visit("available_until", value.available_until);
        visit("committed_until", value.committed_until);
    }
};

template <>
struct Fields<ListingChange> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("ask_micros_per_hour", value.ask_micros_per_hour);
        visit("spot_floor_micros_per_hour", value.spot_floor_micros_per_hour);
        visit("no_spot", value.no_spot);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
        visit("reclaim_notice_ms", value.reclaim_notice_ms);
        visit("term_min_ms", value.term_min_ms);
        visit("term_max_ms", value.term_max_ms);
        visit("share_min_thousandths", value.share_min_thousandths);
        visit("windows", value.windows);
        visit("windows_utc_offset_minutes", value.windows_utc_offset_minutes);
        visit("images_allowed", value.images_allowed);
        visit("renters_allowed", value.renters_allowed);
        visit("renters_blocked", value.renters_blocked);
        visit("state", value.state);
        visit("committed_until", value.committed_until);
    }
};

template <>
struct Fields<ListingFilter> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("listing_ids", value.listing_ids);
        visit("host_id", value.host_id);
        visit("product", value.product);
        visit("state", value.state);
        visit("query", value.query);
    }
};

template <>
struct Fields<ListingChanges> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("filter", value.filter);
        visit("change", value.change);
        visit("dry_run", value.dry_run);
    }
};

template <>
struct Fields<ListingsChanged> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("dry_run", value.dry_run);
        visit("items", value.items);
    }
};

FALLOW_SDK_REQUEST(NewEnrollmentToken);
FALLOW_SDK_REPLY(EnrollmentToken);
FALLOW_SDK_REPLY(Host);
FALLOW_SDK_REPLY(HostScore);
FALLOW_SDK_REQUEST(Maintenance);
FALLOW_SDK_REPLY(RenterFailures);
FALLOW_SDK_REPLY(FailedStarts);
FALLOW_SDK_REPLY(Card);
FALLOW_SDK_REPLY(Listing);
FALLOW_SDK_REQUEST(NewListing);
FALLOW_SDK_REQUEST(ListingChange);
FALLOW_SDK_REQUEST(ListingChanges);
FALLOW_SDK_REPLY(ListingsChanged);

}  // namespace fallow::sdk
