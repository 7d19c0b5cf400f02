import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Kafka's own client, for tests: creates topics, and prints what a reader sees. */
public final class Topics {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        String brokers = arguments[1];
        String topic = arguments[2];
        switch (arguments[0]) {
            case "create" -> create(brokers, topic, Integer.parseInt(arguments[3]));
            case "grant" -> grant(brokers, topic, arguments[3], arguments[4], arguments[5]);
            case "read" -> read(brokers, topic, arguments[3]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void create(String brokers, String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            admin.createTopics(List.of(new NewTopic(topic, Optional.of(partitions), Optional.empty()))).all().get();
        }
    }

    private static void grant(String brokers, String name, String kind, String user, String operations) throws Exception {
        ResourceType type = ResourceType.fromString(kind);
        ResourcePattern resource = new ResourcePattern(type, name, PatternType.LITERAL);
        List<AclBinding> bindings = new ArrayList<>();
        for (String operation : operations.split(",")) {
            AclOperation allowed = AclOperation.fromString(operation);
            bindings.add(new AclBinding(resource, new AccessControlEntry("User:" + user, "*", allowed, AclPermissionType.ALLOW)));
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            admin.createAcls(bindings).all().get();
        }
    }

    /** Every message up to the end of the log, a line of JSON each; the last line says how many offsets there are. */
    private static void read(String brokers, String topic, String isolation) throws Exception {
        List<TopicPartition> partitions = new ArrayList<>();
        Map<TopicPartition, Long> ends;
        try (KafkaConsumer<String, String> consumer = consumer(brokers, "read_uncommitted")) {
            consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
            ends = consumer.endOffsets(partitions);
        }
        try (KafkaConsumer<String, String> consumer = consumer(brokers, isolation)) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            // A transaction that is open holds a reader of what is committed back: it is waited for.
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.println(line(record));
                }
            }
        }
        System.out.println(JSON.createObjectNode().put("offsets", ends.values().stream().mapToLong(end -> end).sum()));
    }

    private static KafkaConsumer<String, String> consumer(String brokers, String isolation) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", brokers);
        properties.put("isolation.level", isolation);
        properties.put("max.poll.records", "5000");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private static ObjectNode line(ConsumerRecord<String, String> record) {
        ObjectNode line = JSON.createObjectNode();
        line.put("partition", record.partition()).put("offset", record.offset());
        line.put("key", record.key()).put("value", record.value());
        ObjectNode headers = line.putObject("headers");
        for (Header header : record.headers()) {
            headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8));
        }
        return line;
    }
}
