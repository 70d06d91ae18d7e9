package headrace;

import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Leaves out rows of MariaDB that this task has already given to Connect.
 *
 * <p>Debezium's binlog client takes a connection on which nothing came for a while for lost, also when it was itself that
 * stood still, and then begins the transaction that it was in from its first row, without asking what was sent. A row's
 * place is in its source offset: the event within the transaction, the row within the event, and of the two messages of
 * a key that moved the second. Within one transaction places only grow; one that does not is a repeat. Connect keeps no
 * offset of a message that is left out, so a task that starts anew goes on behind the last one that was sent.
 */
public final class Repeats implements Transformation<SourceRecord> {
    private static final Logger LOG = LoggerFactory.getLogger(Repeats.class);
    private static final String MOVED_HERE = "__debezium.oldkey";

    private String transaction = "";
    private long event;
    private long row;
    private int half;
    private long repeats;

    @Override
    public SourceRecord apply(SourceRecord record) {
        String gtid = transactionOf(record);
        if (gtid == null) {
            return record;
        }
        long itsEvent = number(record.sourceOffset(), "event");
        long itsRow = number(record.sourceOffset(), "row");
        int itsHalf = record.headers().lastWithName(MOVED_HERE) == null ? 0 : 1;
        if (gtid.equals(transaction) && !isLater(itsEvent, itsRow, itsHalf)) {
            repeats++;
            return null;
        }
        if (repeats > 0) {
            LOG.warn("Left out {} rows of transaction {} that were read from the binlog a second time", repeats, transaction);
            repeats = 0;
        }
        transaction = gtid;
        event = itsEvent;
        row = itsRow;
        half = itsHalf;
        return record;
    }

    private boolean isLater(long itsEvent, long itsRow, int itsHalf) {
        if (itsEvent != event) {
            return itsEvent > event;
        }
        return itsRow != row ? itsRow > row : itsHalf > half;
    }

    /** The transaction of a row that was read from the binlog; null of everything else: snapshots, heartbeats, notices. */
    private static String transactionOf(SourceRecord record) {
        if (!(record.value() instanceof Struct change) || change.schema().field("source") == null
                || change.schema().field("op") == null || "r".equals(change.getString("op"))) {
            return null;
        }
        Struct source = change.getStruct("source");
        return source == null || source.schema().field("gtid") == null ? null : source.getString("gtid");
    }

    private static long number(Map<String, ?> offset, String name) {
        return offset != null && offset.get(name) instanceof Number found ? found.longValue() : 0;
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef();
    }

    @Override
    public void configure(Map<String, ?> settings) {}

    @Override
    public void close() {}
}
