//! The tables, declared once: the template that deploys them and the tests that make them follow from this list.

/// Every table's partition and sort key, both strings. One partition holds what belongs to one organization.
pub const PARTITION: &str = "organization";
pub const SORT: &str = "item";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    /// The attribute with the second after which DynamoDB may delete an item.
    pub expires: Option<&'static str>,
    /// New images go to a stream.
    pub stream: bool,
    /// Point-in-time recovery. Never for what must be destroyed for good.
    pub backed_up: bool,
    /// The deployment cannot delete it.
    pub protected: bool,
    /// Holds only the items that have its attributes.
    pub index: Option<Index>,
}

/// A sparse index with the keys alone: what an item's other attributes are is read from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    pub name: &'static str,
    /// A string.
    pub partition: &'static str,
    /// A number.
    pub sort: &'static str,
}

/// Answers that are not there yet: by a few shards, so that no partition is hot, and by the microsecond they were
/// begun at.
pub const RUNNING: Index = Index { name: "running", partition: "running", sort: "began" };

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableName {
    /// `C#<seq, 20 digits>`: the log. Nothing but puts.
    Commits,
    /// `HEAD`, `K#<command id>`, and one item for each API key that leads to its organization.
    Heads,
    /// Folded documents and the checkpoint that says how far they go.
    Views,
    /// Sealed credentials by kind and version.
    Credentials,
    /// Sealed answers of requests that may be repeated.
    Answers,
    /// Content-addressed bytes up to 64 KB; larger ones are in the bucket.
    Artefacts,
    /// Discoveries that were asked for, run, or ended.
    Discoveries,
    /// How far webhooks are, and the attempts to deliver to them.
    Deliveries,
    /// What keys are called: a person may ask for it to be erased.
    Directory,
    /// Records of live calls, a partition for each agent.
    Calls,
}

pub const TABLES: &[Table] = &[
    Table {
        name: TableName::Commits,
        expires: None,
        stream: true,
        backed_up: true,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Heads,
        expires: Some("expires"),
        stream: true,
        backed_up: true,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Views,
        expires: None,
        stream: false,
        backed_up: false,
        protected: false,
        index: None,
    },
    Table {
        name: TableName::Credentials,
        expires: None,
        stream: false,
        backed_up: false,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Answers,
        expires: Some("expires"),
        stream: false,
        backed_up: false,
        protected: true,
        index: Some(RUNNING),
    },
    Table {
        name: TableName::Artefacts,
        expires: None,
        stream: false,
        backed_up: true,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Discoveries,
        expires: Some("expires"),
        stream: true,
        backed_up: false,
        protected: false,
        index: None,
    },
    Table {
        name: TableName::Deliveries,
        expires: Some("expires"),
        stream: false,
        // Without the cursors everything would be delivered again.
        backed_up: true,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Directory,
        expires: None,
        stream: false,
        backed_up: false,
        protected: true,
        index: None,
    },
    Table {
        name: TableName::Calls,
        expires: Some("expires"),
        stream: false,
        backed_up: true,
        protected: true,
        index: None,
    },
];

impl TableName {
    pub fn as_str(self) -> &'static str {
        match self {
            TableName::Commits => "commits",
            TableName::Heads => "heads",
            TableName::Views => "views",
            TableName::Credentials => "credentials",
            TableName::Answers => "answers",
            TableName::Artefacts => "artefacts",
            TableName::Discoveries => "discoveries",
            TableName::Deliveries => "deliveries",
            TableName::Directory => "directory",
            TableName::Calls => "calls",
        }
    }
}

/// The names of one deployment: `<prefix>-<table>`, and the bucket, whose name no other account may have.
#[derive(Clone, Debug)]
pub struct Names {
    pub prefix: String,
    pub bucket: String,
}

impl Names {
    pub fn table(&self, table: TableName) -> String {
        format!("{}-{}", self.prefix, table.as_str())
    }
}
