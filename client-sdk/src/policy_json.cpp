#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<PolicyRule> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("effect", value.effect);
        visit("reason", value.reason);
    }
};

template <>
struct Fields<Policy> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("text", value.text);
        visit("rules", value.rules);
        visit("created_by", value.created_by);
        visit("created_at", value.created_at);
        visit("version", value.version);
    }
};

template <>
struct Fields<NewPolicy> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("replaces_version", value.replaces_version);
        visit("text", value.text);
    }
};

template <>
struct Fields<PolicyDraft> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("text", value.text);
        visit("model", value.facts.model);
        visit("device_class", value.facts.device_class);
        visit("host_country", value.facts.host_country);
        visit("owner_country", value.facts.owner_country);
        visit("renter_country", value.facts.renter_country);
        visit("end_use", value.facts.end_use);
    }
};

template <>
struct Fields<PolicyVerdict> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("effect", value.effect);
        visit("rule", value.rule);
        visit("reason", value.reason);
        visit("model", value.model);
        visit("tpp", value.tpp);
        visit("performance_density_milli", value.performance_density_milli);
        visit("version", value.version);
    }
};

template <>
struct Fields<Approval> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("model", value.model);
        visit("note", value.note);
        visit("created_by", value.created_by);
        visit("created_at", value.created_at);
    }
};

template <>
struct Fields<NewApproval> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("organization_id", value.organization_id);
        visit("model", value.model);
        visit("note", value.note);
    }
};

FALLOW_SDK_REPLY(Policy);
FALLOW_SDK_REQUEST(NewPolicy);
FALLOW_SDK_REQUEST(PolicyDraft);
FALLOW_SDK_REPLY(PolicyVerdict);
FALLOW_SDK_REPLY(Approval);
FALLOW_SDK_REQUEST(NewApproval);

}  // namespace fallow::sdk
