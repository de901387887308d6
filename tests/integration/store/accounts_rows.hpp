// Organizations, hosts and leases for the tests of the account stores, put there by the superuser as the
// engine would have left them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "market/host.hpp"
#include "market/lease.hpp"
#include "market/organization.hpp"
#include "store/accounts_store.hpp"
#include "store/column_batch.hpp"
#include "store/connection.hpp"
#include "store/transaction.hpp"
#include "support/postgres_fixture.hpp"

namespace fallow::store {

inline constexpr Time test_now(1'700'000'000'000);
inline const accounts::Author test_author{"key_test", test_now};

inline const OrganizationId renter(RawId{0x10, 1});
inline const OrganizationId seller(RawId{0x10, 2});
inline const HostId seller_host(RawId{0x20, 1});
inline const HostId other_host(RawId{0x20, 2});
inline const JobId renter_job(RawId{0x30, 1});
inline const LeaseId renter_lease(RawId{0x40, 1});

/// Two organizations; the seller's host runs the renter's job on a lease that is not released.
class AccountRows {
  public:
    AccountRows() : url(test::PostgresFixture::instance().fresh_database()), connection({.url = url}) {
        Connection superuser({.url = test::PostgresFixture::as_superuser(url)});
        insert(superuser, an_organization(renter, "renter"));
        insert(superuser, an_organization(seller, "seller"));
        insert(superuser, a_host(seller_host, "rack 1"));
        insert(superuser, a_host(other_host, "rack 2"));
        market::Lease lease;
        lease.id = renter_lease;
        lease.renter = renter;
        lease.seller = seller;
        lease.host = seller_host;
        lease.job = renter_job;
        lease.term = hours(1);
        lease.cards = {CardId(RawId{0x80, 1})};
        insert(superuser, lease);
    }

    /// Runs `work` in a transaction of `actor` and commits.
    template <class Work>
    auto as(const Actor& actor, Work&& work) {
        return run_as(connection, actor, std::forward<Work>(work));
    }
    /// What the superuser reads, as text.
    [[nodiscard]] std::string peek(const std::string& sql) const {
        Connection superuser({.url = test::PostgresFixture::as_superuser(url)});
        return superuser.exec(sql)[0][0].c_str();
    }
    void poke(const std::string& sql) const {
        Connection superuser({.url = test::PostgresFixture::as_superuser(url)});
        superuser.exec(sql);
    }

    std::string url;
    Connection connection;

  private:
    static market::Organization an_organization(OrganizationId id, std::string name) {
        market::Organization organization;
        organization.id = id;
        organization.name = std::move(name);
        organization.country = "DE";
        return organization;
    }
    static market::Host a_host(HostId id, std::string name) {
        market::Host host;
        host.id = id;
        host.organization = seller;
        host.name = std::move(name);
        host.country = "DE";
        return host;
    }
    template <class Row>
    static void insert(Connection& superuser, const Row& row) {
        superuser.query_with(statements_of<Row>().insert_sql, column_arrays(std::vector<Row>{row}));
    }
};

inline std::string hash_of(char c) {
    return std::string(32, c);
}

}  // namespace fallow::store
