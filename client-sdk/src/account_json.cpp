#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<ServerInfo> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("version", value.version);
        visit("server_key", value.server_key);
        visit("market", value.market);
        visit("time", value.time);
    }
};

template <>
struct Fields<Organization> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("name", value.name);
        visit("country", value.country);
        visit("status", value.state);
        visit("created_at", value.created_at);
        visit("version", value.version);
    }
};

template <>
struct Fields<Key> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("name", value.name);
        visit("prefix", value.prefix);
        visit("scopes", value.scopes);
        visit("created_at", value.created_at);
        visit("expires_at", value.expires_at);
        visit("revoked_at", value.revoked_at);
    }
};

template <>
struct Fields<KeySecret> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("key", value.key);
        visit("secret", value.secret);
    }
};

template <>
struct Fields<NewKey> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("scopes", value.scopes);
        visit("expires_in_ms", value.expires_in_ms);
    }
};

template <>
struct Fields<Identity> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("organization", value.organization);
        visit("key", value.key);
    }
};

template <>
struct Fields<Account> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("available_micros", value.available_micros);
        visit("held_micros", value.held_micros);
        visit("earned_micros", value.earned_micros);
        visit("currency", value.currency);
    }
};

template <>
struct Fields<Transfer> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("debit_account_id", value.debit_account_id);
        visit("credit_account_id", value.credit_account_id);
        visit("debit_kind", value.debit_kind);
        visit("credit_kind", value.credit_kind);
        visit("amount_micros", value.amount_micros);
        visit("reason", value.reason);
        visit("lease_id", value.lease_id);
        visit("reservation_id", value.reservation_id);
        visit("reference", value.reference);
        visit("at", value.at);
    }
};

template <>
struct Fields<ObjectRef> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("kind", value.kind);
        visit("id", value.id);
    }
};

template <>
struct Fields<Event> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("type", value.type);
        visit("at", value.at);
        visit("actor", value.actor);
        visit("reason", value.reason);
        visit("object", value.object);
        visit("data", value.data);
    }
};

FALLOW_SDK_REPLY(ServerInfo);
FALLOW_SDK_REPLY(Organization);
FALLOW_SDK_REPLY(Key);
FALLOW_SDK_REPLY(KeySecret);
FALLOW_SDK_REQUEST(NewKey);
FALLOW_SDK_REPLY(Identity);
FALLOW_SDK_REPLY(Account);
FALLOW_SDK_REPLY(Transfer);
FALLOW_SDK_REPLY(Event);

}  // namespace fallow::sdk
